import json
from dataclasses import replace

import pytest

from tests.training.ranking.examples import split
from training.errors import BadInput
from training.folder import dataset_digest
from training.ranking.candidates import OffTheShelf, Trained, named_runs
from training.stages.readable import used


def trained(folder, **settings):
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings))
    return Trained("cls+double", folder)


@pytest.mark.parametrize("with_harmless", [False, True])
def test_a_run_fits_the_split_it_learnt_with_harmless_photographs_or_without(
    tmp_path, with_harmless
):
    learnt = split(0, types=12)
    given = learnt if with_harmless else replace(learnt, harmless=())
    run = trained(tmp_path / "run", data=dataset_digest(tuple(used(given))))
    assert run.fits(learnt)
    assert not run.fits(split(1, types=12))
    assert replace(run, trusted=True).fits(split(1, types=12))


def test_a_directory_that_says_nothing_of_its_data_is_believed(tmp_path):
    assert Trained("release", tmp_path).fits(split(0))
    assert Trained("release", tmp_path).described() == {"run": tmp_path.name, "seed": None}


def test_margins_are_told_of_the_double_margin_alone(tmp_path):
    double = trained(tmp_path / "a", objective="contrastive-double", seed=3, lr=0.1)
    assert double.described()["margins"] == [0.8, 1.2]
    assert double.described()["seed"] == 3
    assert "lr" not in double.described()
    single = trained(tmp_path / "b", objective="contrastive-single", figures=[["margin", 1.0]])
    assert "margins" not in single.described()
    assert single.described()["figures"] == [["margin", 1.0]]


@pytest.mark.parametrize("content", ["no json", "[]"])
def test_damaged_settings_are_named(tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(BadInput, match=r"settings\.json"):
        Trained("x", tmp_path).described()


def test_labels_are_given_or_the_directorys_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    found = named_runs([f"cls+double={tmp_path / 'one'}", str(tmp_path / "two")])
    assert [(run.label, run.folder.name) for run in found] == [
        ("cls+double", "one"),
        ("two", "two"),
    ]


def test_an_untrained_network_keeps_the_aspect_ratio_and_its_weights_name(tmp_path):
    found = OffTheShelf("squeezenet1_1", str(tmp_path / "weights.pth"), "spoc", 96)
    assert (found.label, found.fits(split(0))) == ("spoc", True)
    assert found.described()["weights"] == "weights.pth"
    network = replace(found, weights=None, std=(0.5, 0.5, 0.5)).load()
    assert not network.training
    assert {max(size) for size in network.spec.input.sizes} == {96}
    assert len(network.spec.input.sizes) > 1
    assert network.spec.input.std == (0.5, 0.5, 0.5)
