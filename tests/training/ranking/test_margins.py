import numpy as np
import pytest

from tests.training.ranking.examples import entry
from training.ranking.margins import best_margins, margins_of, networks_of
from training.ranking.spread import spread


@pytest.fixture(scope="module")
def entries():
    pairs = ((0.8, 1.2, 1.2), (0.4, 1.4, 1.3), (0.5, 0.9, 2.0))
    return [entry("cls+double", 0, noise=n, margins=[p, q]) for p, q, n in pairs]


def by_type(one):
    return {row["type"]: row["map"] for row in one["types"]}


def test_the_best_two_are_told_with_what_parts_them(entries):
    maps = margins_of(entries)
    first, second = sorted(maps, key=maps.get, reverse=True)[:2]
    found = best_margins(entries)
    assert (found.first, found.second) == (first, second)
    assert found.maps == (maps[first], maps[second])
    own, other = (
        by_type(next(e for e in entries if tuple(e["margins"]) == pair)) for pair in (first, second)
    )
    assert found.by_type == spread([own[name] - other[name] for name in sorted(own)])
    assert (found.pairs, found.splits, found.networks) == (3, 1, 1)


def test_it_does_not_say_more_than_the_interval(entries):
    said = best_margins(entries).says()
    own = best_margins(entries).by_type
    assert "Of 3 pairs on 1 split with 1 network each" in said
    assert ("does not tell them apart" in said) == (own.low <= 0)
    assert "chosen on the figures it is reported by" in said


def test_networks_measured_with_neighbours_are_no_networks_of_their_own(entries):
    again = [{**each, "label": "cls+double+neighbours", "neighbours": 20} for each in entries]
    assert margins_of([*again, *entries]) == margins_of(entries)
    assert networks_of([*entries, *(entry("cls+double", 1, margins=[0.8, 1.2]),)]) == (2, 1)


def test_one_pair_has_no_best(entries):
    assert best_margins(entries[:1]) is None
    assert best_margins([]) is None
    assert margins_of([]) == {} and networks_of([]) == (0, 0)
    assert np.isfinite(list(margins_of(entries).values())).all()
