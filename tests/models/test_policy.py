import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadRelease
from models.policy import NEAR_RADIUS, PART_MARGIN, HeadRule, Kernel, Policy

POLICY = Policy(0.6, {"b": 0.7, "a": 0.5}, 0.05, 0.02, 20.0, 0.5, 8)


def test_a_type_has_its_own_threshold_or_the_common_one() -> None:
    assert POLICY.threshold_of("b") == 0.7
    assert POLICY.threshold_of("other") == 0.6


def test_the_thresholds_are_a_copy() -> None:
    given = {"a": 0.5}
    policy = Policy(0.6, given)
    given["a"] = 0.9
    assert policy.threshold_of("a") == 0.5


def test_the_version_names_the_figures_and_nothing_else() -> None:
    turned = Policy(0.6, {"a": 0.5, "b": 0.7}, 0.05, 0.02, 20, 0.5, 8)
    assert turned.version == POLICY.version
    assert len(POLICY.version) == 16
    assert int(POLICY.version, 16) >= 0
    for change in ({"threshold": 0.61}, {"thresholds": {}}, {"near_miss": 0.0}, {"neighbours": 9}):
        assert replace(POLICY, **change).version != POLICY.version


cosines = st.floats(-1, 1)


@given(
    st.builds(
        Policy,
        temperature=st.none() | st.floats(1e-6, 1),
        least_similarity=cosines,
        near_radius=st.floats(0, 2),
        region_margin=st.none() | st.floats(-2, 2),
        part_margin=st.floats(-2, 2),
        threshold=cosines,
        thresholds=st.dictionaries(st.text(), cosines),
        near_miss=st.floats(0, 2),
        lookalike_margin=st.floats(-2, 2),
        score_slope=st.floats(1e-6, 1e6),
        score_offset=st.floats(-1e6, 1e6),
        neighbours=st.integers(1, 1000),
    )
)
def test_json_gives_the_same_policy_and_what_is_unknown_is_ignored(policy) -> None:
    again = Policy.from_json({**json.loads(json.dumps(policy.to_json())), "later": 1})
    assert again == policy
    assert again.version == policy.version


@pytest.mark.parametrize(
    ("name", "value"),
    [("threshold", 1.01), ("threshold", math.nan), ("threshold", "0.5"), ("threshold", None),
     ("threshold", True), ("thresholds", {"a": -1.5}), ("thresholds", {"a": math.inf}),
     ("thresholds", [0.5]), ("near_miss", -0.1), ("near_miss", math.nan),
     ("lookalike_margin", 2.5), ("score_slope", 0), ("score_slope", math.inf),
     ("score_offset", math.nan), ("neighbours", 0), ("neighbours", 2.5), ("neighbours", 10**6),
     ("threshold", 10**400), ("score_slope", -(10**400)),
     ("temperature", 0), ("temperature", 1.5), ("temperature", "warm"), ("temperature", math.nan),
     ("least_similarity", -1.5), ("least_similarity", None), ("region_margin", 2.5),
      ("region_margin", math.nan), ("region_margin", True), ("near_radius", -0.1),
      ("near_radius", 2.5), ("near_radius", None), ("part_margin", None),
      ("part_margin", -2.5), ("part_margin", math.inf)],
)  # fmt: skip
def test_a_figure_out_of_range_is_one_line(name, value) -> None:
    with pytest.raises(BadRelease) as caught:
        Policy.from_json({**POLICY.to_json(), name: value})
    assert "\n" not in str(caught.value)
    assert name.rstrip("s") in str(caught.value) or name == "thresholds"


@pytest.mark.parametrize("name", list(POLICY.to_json()))
def test_a_missing_figure_is_named(name) -> None:
    raw = POLICY.to_json()
    del raw[name]
    with pytest.raises(BadRelease, match=name):
        Policy.from_json(raw)


OLD = {
    "lookalike_margin": 0.0,
    "near_miss": 0.026864,
    "neighbours": 30,
    "score_offset": 2.506611,
    "score_slope": 71.446936,
    "threshold": 0.811569,
    "thresholds": {},
}
"""The policy.json of the first starter release."""


def test_a_policy_of_before_the_soft_rule_is_read_and_has_the_version_that_it_had() -> None:
    policy = Policy.from_json(OLD)
    assert (policy.temperature, policy.least_similarity, policy.region_margin) == (None, -1.0, None)
    assert policy.near_radius == NEAR_RADIUS
    assert policy.part_margin == PART_MARGIN
    assert policy.to_json() == OLD
    assert policy.version == "4fa0da4dc38ea2b5"


def test_a_support_may_be_asked_for_that_no_similarity_reaches() -> None:
    soft = Policy(-1.5, {"a": 1.5}, temperature=0.05)
    assert soft.threshold_of("a") == 1.5
    with pytest.raises(BadRelease, match=r"-2\.\.2"):
        Policy(2.5, temperature=0.05)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.05},
        {"least_similarity": 0.2},
        {"region_margin": 0.0},
        {"near_radius": 0.0},
        {"part_margin": 0.0},
    ],
)
def test_what_changes_decisions_changes_the_version(changes) -> None:
    assert replace(POLICY, **changes).version != POLICY.version
    assert changes.items() <= replace(POLICY, **changes).to_json().items()


RULE = HeadRule(0.5, Kernel(40.0, 25.0), Kernel(10.0, 8.0), {"type": 2.0, "mechanism": 1.5})


@pytest.mark.parametrize("rule", [RULE, replace(RULE, own=None), replace(RULE, levels={})])
def test_a_rule_for_a_head_comes_back(rule) -> None:
    policy = Policy(7.5, {"a": -12.0}, 3.0, part_margin=4.0, region_margin=5.0, head=rule)
    raw = json.loads(json.dumps(policy.to_json()))
    assert Policy.from_json({**raw, "head": {**raw["head"], "later": 1}}) == policy
    assert raw["head"]["own"] == (None if rule.own is None else {"scale": 10.0, "offset": 8.0})
    assert policy.by_kind
    assert not replace(policy, head=None, threshold=0.5, thresholds={}, near_miss=0.0,
                       part_margin=0.0, region_margin=0.0).by_kind  # fmt: skip
    assert policy.version != replace(policy, head=replace(rule, temperature=0.6)).version


def test_the_json_of_a_rule_is_the_documented_one() -> None:
    assert Policy(0.0, head=RULE).to_json()["head"] == {
        "temperature": 0.5,
        "added": {"scale": 40.0, "offset": 25.0},
        "own": {"scale": 10.0, "offset": 8.0},
        "levels": {"mechanism": {"temperature": 1.5}, "type": {"temperature": 2.0}},
    }


HEAD_JSON = RULE.to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"temperature": None},
        {"added": None},
        {"added": {"scale": 0.0, "offset": 1.0}},
        {"added": {"scale": 1.0}},
        {"own": {"scale": 1.0, "offset": float("inf")}},
        {"own": 3},
        {"levels": {"calibre": {"temperature": 1.0}}},
        {"levels": {"type": {"temperature": -1.0}}},
        {"levels": {"type": 1.0}},
        {"levels": None},
    ],
)
def test_a_bad_rule_for_a_head_is_one_line(changes) -> None:
    raw = {**Policy(0.0).to_json(), "head": {**HEAD_JSON, **changes}}
    with pytest.raises(BadRelease, match="policy") as caught:
        Policy.from_json(raw)
    assert "\n" not in str(caught.value)
    for absent in ("temperature", "added", "own", "levels"):
        left = {name: value for name, value in HEAD_JSON.items() if name != absent}
        with pytest.raises(BadRelease, match=absent):
            Policy.from_json({**raw, "head": left})


def test_logits_are_as_large_as_they_are_only_with_a_head() -> None:
    for name in ("threshold", "near_miss", "region_margin", "part_margin"):
        replace(Policy(0.0, head=RULE), **{name: 900.0})
        for policy in (Policy(0.0), Policy(0.0, temperature=0.1)):
            with pytest.raises(BadRelease, match=name):
                replace(policy, **{name: 900.0})
        with pytest.raises(BadRelease, match=name):
            replace(Policy(0.0, head=RULE), **{name: 1001.0})
    with pytest.raises(BadRelease, match="by a head and by the soft rule"):
        Policy(0.0, head=RULE, temperature=0.1)
