from types import SimpleNamespace

import numpy as np
import pytest

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


def apply(matcher: Matcher, added: list[Added], removed: list[str], version: int) -> None:
    changes = {**dict.fromkeys(removed, "removed"), **{p.prototype_id: p for p in added}}
    matcher.apply(changes, version)


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
    apply(matcher, [added("toy", 60, "toy", "lookalike"), added("new", 61)], ["r0"], 7)
    (found,) = matcher.served.index.query_kinds(unit(0)[None], 100)
    assert set(found.ids) == {"r1", "r2", "toy", "new"}


def test_added_prototypes_are_found_with_their_type_and_kind():
    matcher = Matcher(release())
    apply(matcher, [added("n", 9), added("toy", 10, firearm="toy", kind="lookalike")], [], 5)
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
    apply(matcher, [added("n"), override("o")], ["r0"], 5)
    assert (before.overlay, before.overrides, len(before.index)) == (0, {}, 3)
    assert matcher.served is not before


def test_prototypes_of_the_release_can_be_removed_replaced_and_come_back():
    matcher = Matcher(release())
    apply(matcher, [], ["r0"], 1)
    assert ids(matcher) == {"r1", "r2"}
    apply(matcher, [added("r0", 7)], [], 2)
    assert ids(matcher) == {"r0", "r1", "r2"}
    (found,) = matcher.served.index.query(unit(7)[None], 1)
    assert (found.ids, found.types) == (("r0",), ("ak",))
    apply(matcher, [], ["r0", "r1", "r2", "unknown"], 3)
    assert ids(matcher) == set()


def test_added_ones_can_be_removed_again():
    matcher = Matcher(release())
    apply(matcher, [added("n"), override("o")], [], 1)
    apply(matcher, [], ["n", "o"], 2)
    assert ids(matcher) == {"r0", "r1", "r2"}
    assert matcher.served.overrides == {}


def test_an_override_is_by_picture_and_not_in_the_index():
    matcher = Matcher(release())
    apply(matcher, [override("pass"), override("flag", "ak", DIGESTS[1])], [], 1)
    assert matcher.served.overrides == {
        DIGESTS[0]: Override("pass", ""),
        DIGESTS[1]: Override("flag", "ak"),
    }
    assert ids(matcher) == {"r0", "r1", "r2"}
    assert matcher.served.types.family("ak") == "rifle"


def test_a_prototype_that_becomes_an_override_leaves_the_index():
    matcher = Matcher(release())
    apply(matcher, [added("n")], [], 1)
    apply(matcher, [override("n"), override("r0", digest=DIGESTS[1])], [], 2)
    assert ids(matcher) == {"r1", "r2"}
    assert len(matcher.served.overrides) == 2


def test_the_later_of_two_that_speak_of_one_picture_or_type_wins():
    matcher = Matcher(release())
    apply(
        matcher, [override("first", "ak", family="x"), override("second", "ak", family="y")], [], 1
    )
    assert matcher.served.overrides[DIGESTS[0]].id == "second"
    assert matcher.served.types.family("ak") == "y"
    apply(matcher, [override("first", "ak", family="z")], [], 2)
    assert matcher.served.overrides[DIGESTS[0]].id == "first"
    assert matcher.served.types.family("ak") == "z"


def test_a_version_without_changes_costs_no_new_index():
    matcher = Matcher(release())
    apply(matcher, [added("n")], [], 1)
    before = matcher.served
    apply(matcher, [], [], 8)
    assert matcher.served.overlay == 8
    assert matcher.served.index is before.index


def test_what_is_forgotten_is_as_the_release_has_it():
    matcher = Matcher(release())
    apply(matcher, [added("n"), override("o"), added("r1", 9)], ["r0"], 4)
    matcher.apply(dict.fromkeys(["n", "o", "r0", "r1", "unknown"], "forgotten"), 9)
    served = matcher.served
    assert (ids(matcher), served.overrides, served.overlay) == ({"r0", "r1", "r2"}, {}, 9)
    (found,) = served.index.query(unit(1)[None], 1)
    assert (found.ids, found.types) == (("r1",), ("glock",))


def test_anew_what_was_applied_before_is_gone():
    matcher = Matcher(release())
    apply(matcher, [added("n"), override("o")], ["r0"], 9)
    matcher.apply({"m": added("m", 51)}, 1, anew=True)
    served = matcher.served
    assert (ids(matcher), served.overrides, served.overlay) == ({"r0", "r1", "r2", "m"}, {}, 1)
    matcher.apply({}, 0, anew=True)
    assert (ids(matcher), matcher.served.overlay) == ({"r0", "r1", "r2"}, 0)
