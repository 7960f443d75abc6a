"""The methods that are compared: their labels, settings and order."""

from training.data.types14k import firearm14k_facts
from training.method.catalogue import figures_of
from training.ranking import paper
from training.stages.settings import ClassifySettings, RetrieveSettings
from training.study.methods import OFF_THE_SHELF, PAPER, SCALED, methods, pairs_shown

METHODS = methods(SCALED)
BY_LABEL = {method.label: method for method in METHODS}


def test_labels_are_unique():
    labels = [*OFF_THE_SHELF, *(method.label for method in METHODS)]
    assert len(set(labels)) == len(labels)


def test_each_comes_after_the_one_that_it_begins_with():
    before = set()
    for method in METHODS:
        assert method.after is None or method.after in before
        before.add(method.label)
    assert any(method.after for method in METHODS)


def test_what_begins_with_another_has_its_trunk():
    for method in METHODS:
        if method.after is not None:
            first = BY_LABEL[method.after]
            assert method.dimension == first.dimension
            assert method.pooling == first.pooling
            assert isinstance(method.settings, RetrieveSettings)


def test_what_is_measured_with_neighbours_is_another_methods_network():
    measured = [method for method in METHODS if method.neighbours]
    assert {method.network for method in measured} == {"cls+double", "distilled"}
    for method in METHODS:
        assert (method.network is None) == (method.neighbours == 0)
        if method.network is not None:
            own = BY_LABEL[method.network]
            assert (method.settings, method.pooling) == (own.settings, own.pooling)


def test_what_the_paper_has_too_is_called_as_its_rows():
    rows = {label: paper.method(label) for label in (*OFF_THE_SHELF, *BY_LABEL)}
    assert {label for label, row in rows.items() if row is None} == {
        "gem",
        "multi-similarity",
        "distilled",
        "distilled+neighbours",
        "cls+double+neighbours",
    }
    named = [row for row in rows.values() if row is not None]
    assert len({row.key for row in named}) == len(named)


def test_margins_of_one_stage_are_narrower_than_those_of_two():
    one, two = (
        figures_of(method.settings.objective, dict(method.settings.figures))
        for method in (BY_LABEL["double"], BY_LABEL["cls+double"])
    )
    assert (two["positive_margin"], two["negative_margin"]) == (0.8, 1.2)
    assert one["positive_margin"] < one["negative_margin"] <= two["positive_margin"]


def test_the_schedule_is_the_papers_but_for_what_it_names():
    settings = BY_LABEL["cls+double"].settings
    usual = RetrieveSettings.paper().to_json()
    differ = {name for name, value in settings.to_json().items() if value != usual[name]}
    assert differ <= set(SCALED.retrieve)
    assert settings.augmentation == "paper"


def test_the_papers_schedule_is_the_papers():
    found = {method.label: method for method in methods(PAPER)}
    assert found["cls"].settings == ClassifySettings.paper()
    assert found["cls+double"].settings == RetrieveSettings.paper()
    for label in ("single", "double", "cls+single", "triplet"):
        usual = RetrieveSettings.paper().to_json()
        settings = found[label].settings.to_json()
        differ = {name for name in usual if settings[name] != usual[name]}
        assert differ <= {"objective", "figures", "sampling"}


def test_the_scaled_study_shows_a_small_part_of_the_papers_pairs():
    """The paper: 180 + 180 of each of 107 types, in 30 epochs."""
    types = sum(facts.split == "train" for facts in firearm14k_facts().values())
    papers = pairs_shown(RetrieveSettings.paper(), types)
    assert papers == 30 * 107 * 360
    assert pairs_shown(BY_LABEL["cls+double"].settings, 22) / papers < 0.005
