from itertools import combinations

import numpy as np
import pytest

from training.data.layout import type_of
from training.synthesis.chance import stream
from training.synthesis.design import designs, unlikeness
from training.synthesis.family import FAMILIES
from training.synthesis.firearm import firearm
from training.synthesis.harmless import HARMLESS, harmless
from training.synthesis.lookalike import LOOKALIKES, lookalike


@pytest.fixture(scope="module")
def many():
    return designs(2, 45 * len(FAMILIES))


def test_a_larger_count_only_adds_types():
    assert designs(3, 40)[:17] == designs(3, 17)


def test_other_seeds_give_other_types():
    measures = {tuple(design.measures.values()) for design in designs(0, 24)}
    assert not measures & {tuple(design.measures.values()) for design in designs(1, 24)}


def test_names_are_those_of_the_published_set(tmp_path):
    names = [design.name for design in designs(0, 167)]
    assert len({name.casefold() for name in names}) == 167
    for name in names:
        assert "+" in name and " " not in name and "/" not in name
        assert type_of(tmp_path / f"{name}_0001.jpg") == name


def test_families_come_in_turn():
    families = [design.family for design in designs(0, 2 * len(FAMILIES))]
    assert families == [*FAMILIES, *FAMILIES]


def test_measures_and_shapes_are_those_of_the_family():
    for design in designs(5, 80):
        family = FAMILIES[design.family]
        assert set(design.shapes) == set(family.shapes)
        assert all(design.shapes[name] in options for name, options in family.shapes.items())
        for name, (low, high) in family.measures.items():
            assert low <= design.measures[name] <= high


def test_types_of_a_family_are_further_apart_than_chance_puts_them():
    def nearest(some):
        return min(unlikeness(a, b) for a, b in combinations(some, 2) if a.family == b.family)

    chosen = designs(0, 80)
    # The first of a seed has no other to be unlike to: chance alone drew it.
    by_chance = [d for seed in range(10) for d in designs(1000 + seed, len(FAMILIES))]
    assert nearest(chosen) > nearest(by_chance)


def test_unlikeness_of_equal_designs_is_nothing():
    design, *_ = designs(0, 1)
    assert unlikeness(design, design) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_option_of_every_family_can_be_drawn(family, many):
    some = [design for design in many if design.family == family]
    seen = {(name, option) for design in some for name, option in design.shapes.items()}
    expected = {(n, o) for n, options in FAMILIES[family].shapes.items() for o in options}
    assert seen == expected
    for design in some[:12]:
        every = np.concatenate([part.outline for part in firearm(design).parts])
        assert np.isfinite(every).all()
        # Units of the thing: from a short handgun to a rifle with a silencer or bayonet.
        assert 0.4 < np.ptp(every[:, 0]) < 1.6
        assert (every.min(0) < firearm(design).hold).all()
        assert (every.max(0) > firearm(design).hold).all()


@pytest.mark.parametrize("kind", [*LOOKALIKES, *HARMLESS])
def test_other_things_differ_between_pictures(kind):
    draw = lookalike if kind in LOOKALIKES else harmless
    first, *others = [draw(kind, stream(0, kind, number)) for number in range(4)]
    again = draw(kind, stream(0, kind, 0))
    assert _equal(again, first)
    assert not any(_equal(other, first) for other in others)


def _equal(one, other):
    return len(one.parts) == len(other.parts) and all(
        a.colour == b.colour and np.array_equal(a.outline, b.outline)
        for a, b in zip(one.parts, other.parts, strict=True)
    )
