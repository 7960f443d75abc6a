import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.head import Head, HeadClass
from models.index import Neighbours
from models.policy import HeadRule, Kernel
from models.scoring import TIE, Scorer, level_shares, support, supports, type_supports

neighbours = st.lists(
    st.tuples(st.floats(-1, 1, width=32), st.booleans(), st.sampled_from("abc")),
    min_size=1,
    max_size=9,
)
temperatures = st.floats(0.01, 1)


def columns(rows) -> tuple[np.ndarray, np.ndarray, list[str]]:
    similarities, firearm, types = zip(*rows, strict=True)
    return np.array(similarities, np.float32), np.array(firearm, np.bool_), list(types)


def soft(values, temperature: float) -> float:
    """Return t log of the sum of exp(s / t), term by term; -inf of none."""
    total = sum(math.exp(value / temperature) for value in values)
    return temperature * math.log(total) if total else -math.inf


def obvious(rows, temperature: float) -> float:
    """Return the support as its definition has it."""
    least = -1.0  # what a kind that is absent counts as
    guns = soft([s for s, firearm, _ in rows if firearm] + [least], temperature)
    return guns - soft([s for s, firearm, _ in rows if not firearm] + [least], temperature)


@given(neighbours, temperatures)
def test_support_is_that_of_the_slow_way(rows, temperature) -> None:
    similarities, firearm, _ = columns(rows)
    assert support(similarities, firearm, temperature) == pytest.approx(
        obvious(rows, temperature), abs=1e-6
    )


@given(st.lists(neighbours, min_size=1, max_size=4), temperatures)
def test_many_are_each_as_one(lists, temperature) -> None:
    size = min(map(len, lists))
    parts = [columns(rows[:size]) for rows in lists]
    found = supports(np.stack([p[0] for p in parts]), np.stack([p[1] for p in parts]), temperature)
    assert found.dtype == np.float64
    assert found.tolist() == [support(p[0], p[1], temperature) for p in parts]


@given(neighbours, temperatures)
def test_the_support_of_types_is_that_of_the_slow_way(rows, temperature) -> None:
    found = type_supports(*columns(rows), temperature)
    by_type = {
        name: soft([s for s, firearm, its in rows if firearm and its == name], temperature)
        for name in dict.fromkeys(its for _, firearm, its in rows if firearm)
    }
    most = max(by_type.values(), default=0.0)
    whole = obvious(rows, temperature)
    expected = {name: whole - (most - weight) for name, weight in by_type.items()}
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-6)


@given(neighbours, temperatures, st.randoms())
def test_the_order_of_neighbours_does_not_matter_and_kinds_turned_turn_the_sign(
    rows, temperature, random
) -> None:
    similarities, firearm, _ = columns(rows)
    before = support(similarities, firearm, temperature)
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = columns(shuffled)
    assert support(again[0], again[1], temperature) == pytest.approx(before, abs=1e-9)
    assert support(similarities, ~firearm, temperature) == pytest.approx(-before, abs=1e-9)


def test_at_a_low_temperature_it_is_the_nearest_firearm_less_the_nearest_lookalike() -> None:
    similarities = np.array([0.8, 0.75, 0.6, 0.2], np.float32)
    firearm = np.array([False, True, True, False])
    assert support(similarities, firearm, 1e-6) == pytest.approx(-0.05, abs=1e-5)
    # A kind that is absent counts as a neighbour of the opposite direction.
    assert support(similarities, np.ones(4, np.bool_), 1e-6) == pytest.approx(1.8, abs=1e-5)


def test_several_near_firearms_weigh_more_than_one() -> None:
    similarities = np.array([0.8, 0.8, 0.8, -0.9], np.float32)
    one = support(similarities[[0, 3]], np.array([True, False]), 0.1)
    three = support(similarities, np.array([True, True, True, False]), 0.1)
    assert three - one == pytest.approx(0.1 * math.log(3), abs=1e-3)


def test_extreme_figures_neither_overflow_nor_vanish() -> None:
    similarities = np.array([1, -1], np.float32)
    assert support(similarities, np.array([True, False]), 1e-6) == pytest.approx(2, abs=1e-4)
    assert type_supports(similarities, np.array([False, False]), ["a", "b"], 0.1) == {}


@pytest.mark.parametrize("shapes", [((2, 0), (2, 0)), ((2, 3), (3, 2)), ((1, 3), (1, 2))])
def test_shapes_that_do_not_fit_are_refused(shapes) -> None:
    with pytest.raises(ValueError, match="neighbour"):
        supports(np.zeros(shapes[0], np.float32), np.zeros(shapes[1], np.bool_), 0.1)


# --- a head beside the neighbours

CLASSES = (
    HeadClass("a", "firearm"), HeadClass("toy", "lookalike"), HeadClass("b", "firearm"),
    HeadClass("a", "lookalike"),
)  # fmt: skip
HEAD = Head(np.eye(4, dtype=np.float32), np.zeros(4, np.float32), CLASSES)

entries = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "new", "toy"]),
        st.sampled_from(["firearm", "lookalike", "override"]),
        st.floats(-1, 1, width=32),
        st.booleans(),
    ),
    max_size=8,
)
logits = st.lists(st.floats(-30, 30, width=32), min_size=4, max_size=4)
kernels = st.builds(Kernel, st.floats(0.1, 60), st.floats(-20, 60))
rules = st.builds(HeadRule, st.floats(0.1, 4), kernels, st.none() | kernels)


def beside(rows) -> Neighbours:
    """Return neighbours from (type, kind, similarity, added), best first."""
    rows = sorted(rows, key=lambda row: -row[2])
    types, kinds, similarities, added = zip(*rows, strict=True) if rows else ((), (), (), ())
    ids = tuple(map(str, range(len(rows))))
    new = frozenset(name for name, its in zip(ids, added, strict=True) if its)
    return Neighbours(ids, types, kinds, np.array(similarities, np.float32), new)


def slow(values, rows, rule) -> dict[str, float]:
    """Return the scores of types as their definition has them, term by term."""
    every = [(each.kind, each.name, value) for each, value in zip(CLASSES, values, strict=True)]
    nearest = max((row[2] for row in rows if row[1] == "firearm"), default=-math.inf)
    for name, kind, similarity, added in rows:
        kernel = rule.added if added else rule.own
        farther = kind == "lookalike" and added and similarity < nearest - TIE
        if kernel is not None and not farther:
            every.append((kind, name, kernel.scale * similarity - kernel.offset))

    def joined(chosen) -> float:
        its = [value for kind, name, value in every if chosen(kind, name)]
        most = max(its)
        total = math.fsum(math.exp((value - most) / rule.temperature) for value in its)
        return most + rule.temperature * math.log(total)

    whole = joined(lambda kind, _: kind == "firearm") - joined(lambda kind, _: kind == "lookalike")
    names = {name for kind, name, _ in every if kind == "firearm"}
    own = {n: joined(lambda kind, name, n=n: (kind, name) == ("firearm", n)) for n in names}
    return {name: whole - (max(own.values()) - value) for name, value in own.items()}


@given(logits, entries, rules)
def test_the_scores_of_types_are_those_of_the_slow_way(values, rows, rule) -> None:
    (found,) = Scorer(HEAD, rule).scores(np.array([values], np.float32), [beside(rows)])
    assert found == pytest.approx(slow(values, rows, rule), abs=1e-6)


@given(st.lists(st.tuples(logits, entries), max_size=4), rules)
def test_rows_are_scored_each_as_one(each, rule) -> None:
    scorer = Scorer(HEAD, rule)
    values = np.array([value for value, _ in each], np.float32).reshape(-1, 4)
    near = [beside(rows) for _, rows in each]
    alone = [scorer.scores(values[n : n + 1], near[n : n + 1])[0] for n in range(len(near))]
    assert scorer.scores(values, near) == [pytest.approx(its, abs=1e-9) for its in alone]


@given(logits, entries, rules)
def test_without_what_is_added_the_head_is_alone_where_own_count_nothing(values, rows, rule):
    scorer = Scorer(HEAD, replace(rule, own=None))
    own = [(*row[:3], False) for row in rows]
    pair = np.array([values, values], np.float32)
    first, second = scorer.scores(pair, [beside(own), beside([])])
    assert first == second


@given(logits, entries, rules, st.floats(-1, 0.9), st.sampled_from(["a", "new"]))
def test_the_nearer_an_added_prototype_the_more_it_weighs(values, rows, rule, far, name) -> None:
    scorer, row = Scorer(HEAD, rule), np.array([values], np.float32)

    def at(kind: str, similarity: float) -> dict[str, float]:
        return scorer.scores(row, [beside([*rows, (name, kind, similarity, True)])])[0]

    before, after = at("firearm", far), at("firearm", far + 0.1)
    assert after[name] >= before[name] - 1e-9
    before, after = at("lookalike", far), at("lookalike", far + 0.1)
    assert all(after[each] <= before[each] + 1e-9 for each in before)


@given(logits, entries, rules, st.floats(-1, 0.9), st.booleans())
def test_an_added_lookalike_takes_nothing_from_what_is_nearer_to_a_firearm(
    values, rows, rule, far, added
) -> None:
    """Else one that is said of a firearm by mistake would hide many that are merely alike."""
    scorer, row = Scorer(HEAD, rule), np.array([values], np.float32)
    near = [*rows, ("a", "firearm", far + 2 * TIE, added)]
    one, other = (
        scorer.scores(row, [beside(its)])[0]
        for its in (near, [*near, ("toy", "lookalike", far, True)])
    )
    assert one == pytest.approx(other, abs=1e-9)


scores = st.dictionaries(st.sampled_from("abcd"), st.floats(-50, 50), min_size=1)
OF = {"a": "pistol", "b": "pistol", "c": "rifle"}


@given(scores, st.floats(0.1, 10))
def test_shares_of_a_level_are_sums_over_the_types_that_have_one(given_scores, t) -> None:
    found = level_shares(given_scores, OF.get, t)
    weights = {n: math.exp((v - 50) / t) for n, v in given_scores.items() if n in OF}
    total = sum(weights.values())
    expected: dict[str, float] = {}
    for name, weight in weights.items():
        expected[OF[name]] = expected.get(OF[name], 0.0) + weight / total if total else math.nan
    if total > 1e-200:
        assert found == pytest.approx(expected, abs=1e-6)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1 if found else 0)
