from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.index import PrototypeIndex
from models.policy import Policy
from models.prototypes import Prototypes
from models.types import Types
from moderator.decide import Override
from moderator.match import Added, Matcher

D = 4
DIGESTS = ["sha256:" + letter * 64 for letter in "ab"]


def unit(seed: int) -> np.ndarray:
    row = np.random.default_rng(seed).normal(size=D)
    return (row / np.linalg.norm(row)).astype(np.float32)


def release(names=("r0", "r1", "r2"), temperature: float | None = None) -> SimpleNamespace:
    """Return the part of a release that matching uses, index, types and policy the real ones."""
    prototypes = Prototypes(
        embeddings=np.stack([unit(place) for place in range(len(names))]),
        ids=tuple(names),
        types=("glock",) * len(names),
        kinds=("firearm",) * len(names),
    )
    types = Types({"glock": ("pistol", "Glock 17")})
    policy = Policy(0.5, temperature=temperature)
    return SimpleNamespace(index=PrototypeIndex.build(prototypes), types=types, policy=policy)


def added(name: str, seed: int = 50, firearm: str = "ak", kind: str = "firearm") -> Added:
    return Added(name, firearm, kind, "rifle", "AK", unit(seed))


def override(name: str, firearm: str = "", digest: str = DIGESTS[0], family="rifle") -> Added:
    return Added(name, firearm, "override", family, "AK", None, digest)


def ids(matcher: Matcher) -> set[str]:
    (found,) = matcher.served.index.query(unit(0)[None], 100)
    return set(found.ids)


def test_without_an_overlay_the_release_is_served():
    ours = release()
    served = Matcher(ours).served
    assert served.index is ours.index
    assert (served.types, served.overrides, served.overlay) == (ours.types, {}, 0)


def test_under_the_soft_rule_changes_cost_no_new_index_of_either_kind(monkeypatch):
    matcher = Matcher(release(temperature=0.1))
    monkeypatch.setattr(PrototypeIndex, "build", lambda _: pytest.fail("built anew"))
    matcher.apply([added("toy", 60, "toy", "lookalike"), added("new", 61)], ["r0"], 7)
    (found,) = matcher.served.index.query_kinds(unit(0)[None], 100)
    assert set(found.ids) == {"r1", "r2", "toy", "new"}


def test_added_prototypes_are_found_with_their_type_and_kind():
    matcher = Matcher(release())
    matcher.apply([added("n", 9), added("toy", 10, firearm="toy", kind="lookalike")], [], 5)
    served = matcher.served
    assert served.overlay == 5
    (found,) = served.index.query(unit(9)[None], 1)
    assert (found.ids, found.types, found.kinds) == (("n",), ("ak",), ("firearm",))
    assert found.similarities[0] == pytest.approx(1, abs=1e-5)
    assert (served.types.family("ak"), served.types.display_name("ak")) == ("rifle", "AK")
    assert served.types.family("glock") == "pistol"


def test_what_is_served_is_never_changed_but_replaced():
    matcher = Matcher(release())
    before = matcher.served
    matcher.apply([added("n"), override("o")], ["r0"], 5)
    assert (before.overlay, before.overrides, len(before.index)) == (0, {}, 3)
    assert matcher.served is not before


def test_prototypes_of_the_release_can_be_removed_replaced_and_come_back():
    matcher = Matcher(release())
    matcher.apply([], ["r0"], 1)
    assert ids(matcher) == {"r1", "r2"}
    matcher.apply([added("r0", 7)], [], 2)
    assert ids(matcher) == {"r0", "r1", "r2"}
    (found,) = matcher.served.index.query(unit(7)[None], 1)
    assert (found.ids, found.types) == (("r0",), ("ak",))
    matcher.apply([], ["r0", "r1", "r2", "unknown"], 3)
    assert ids(matcher) == set()


def test_added_ones_can_be_removed_again():
    matcher = Matcher(release())
    matcher.apply([added("n"), override("o")], [], 1)
    matcher.apply([], ["n", "o"], 2)
    assert ids(matcher) == {"r0", "r1", "r2"}
    assert matcher.served.overrides == {}


def test_an_override_is_by_picture_and_not_in_the_index():
    matcher = Matcher(release())
    matcher.apply([override("pass"), override("flag", "ak", DIGESTS[1])], [], 1)
    assert matcher.served.overrides == {
        DIGESTS[0]: Override("pass", ""),
        DIGESTS[1]: Override("flag", "ak"),
    }
    assert ids(matcher) == {"r0", "r1", "r2"}
    assert matcher.served.types.family("ak") == "rifle"


def test_a_prototype_that_becomes_an_override_leaves_the_index():
    matcher = Matcher(release())
    matcher.apply([added("n")], [], 1)
    matcher.apply([override("n"), override("r0", digest=DIGESTS[1])], [], 2)
    assert ids(matcher) == {"r1", "r2"}
    assert len(matcher.served.overrides) == 2


def test_the_later_of_two_that_speak_of_one_picture_or_type_wins():
    matcher = Matcher(release())
    matcher.apply(
        [override("first", "ak", family="x"), override("second", "ak", family="y")], [], 1
    )
    assert matcher.served.overrides[DIGESTS[0]].id == "second"
    assert matcher.served.types.family("ak") == "y"
    matcher.apply([override("first", "ak", family="z")], [], 2)
    assert matcher.served.overrides[DIGESTS[0]].id == "first"
    assert matcher.served.types.family("ak") == "z"


def test_a_version_without_changes_costs_no_new_index():
    matcher = Matcher(release())
    matcher.apply([added("n")], [], 1)
    before = matcher.served
    matcher.apply([], [], 8)
    assert matcher.served.overlay == 8
    assert matcher.served.index is before.index


names = st.sampled_from(["r0", "r1", "n", "m"])
changes = st.lists(
    st.tuples(names, st.sampled_from(["remove", "add", "override"]), st.integers(0, 3)), max_size=12
)


def change(name: str, what: str, number: int) -> Added | None:
    if what == "remove":
        return None
    if what == "override":
        return override(name, "ak", DIGESTS[number % 2], family=f"family{number}")
    return added(name, 20 + number)


def applied(steps: list[list[tuple[str, Added | None]]]) -> Matcher:
    matcher = Matcher(release())
    for step in steps:
        matcher.apply([a for _, a in step if a is not None], [n for n, a in step if a is None], 9)
    return matcher


@given(changes)
def test_members_agree_whether_they_read_all_changes_or_a_compacted_topic(rows):
    each = [(name, change(name, what, number)) for name, what, number in rows]
    last = {}
    for name, item in each:
        last.pop(name, None)
        last[name] = item
    one_by_one = applied([[item] for item in each]).served
    compacted = applied([list(last.items())]).served
    assert one_by_one.overrides == compacted.overrides
    assert one_by_one.types == compacted.types
    for seed in (0, 20, 21):
        (first,) = one_by_one.index.query(unit(seed)[None], 10)
        (second,) = compacted.index.query(unit(seed)[None], 10)
        assert (first.ids, first.types, first.kinds) == (second.ids, second.types, second.kinds)
        assert np.allclose(first.similarities, second.similarities, atol=1e-6)
