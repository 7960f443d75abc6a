import base64
import json
import threading
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from models.index import PrototypeIndex
from models.policy import Policy
from models.prototypes import Prototypes
from models.types import Types
from moderator.decide import Override
from moderator.following import MadeAnew
from moderator.match import Matcher
from moderator.overlay import (
    MAX_TEXT,
    Overlay,
    Skipped,
    decode_prototype,
    encode_prototype,
    encode_removal,
)
from tests.moderator.schemas import schema

NETWORK = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
DIGEST = "sha256:" + "12" * 32
D = 3
UNIT = np.array([0.6, 0.8, 0.0], np.float32)


def encoded(name="n", network=NETWORK, embedding=UNIT, kind="firearm", firearm="ak", digest=None):
    """Return key and value of a prototype's record."""
    return encode_prototype(
        name, network, firearm, kind, embedding, family="rifle", display_name="AK", digest=digest
    )


def changed(**given) -> tuple[bytes, bytes]:
    """Return key and value of a record whose body has these members instead, None: lacks them."""
    key, value = encoded()
    body = {**json.loads(value), **given}
    return key, json.dumps({name: each for name, each in body.items() if each != "gone"}).encode()


def floats(*values: float) -> str:
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


def test_what_is_encoded_is_decoded_and_of_its_schema():
    key, value = encoded("a/b")
    assert key == f"{NETWORK}/a/b".encode()
    schema("prototype-1").validate(json.loads(value))
    found = decode_prototype(key, value, NETWORK, D)
    assert (found.prototype_id, found.type, found.kind) == ("a/b", "ak", "firearm")
    assert (found.family, found.display_name, found.digest) == ("rifle", "AK", None)
    assert found.embedding.dtype == np.float32
    assert found.embedding == pytest.approx(UNIT)


@pytest.mark.parametrize("firearm", ["", "ak"])
def test_overrides_name_a_picture_and_have_no_embedding(firearm):
    key, value = encoded(kind="override", embedding=None, firearm=firearm, digest=DIGEST)
    schema("prototype-1").validate(json.loads(value))
    found = decode_prototype(key, value, NETWORK, D)
    assert (found.kind, found.type, found.digest, found.embedding) == (
        "override",
        firearm,
        DIGEST,
        None,
    )


def test_a_removal_has_a_value():
    key, value = encode_removal("a/b", NETWORK)
    schema("prototype-1").validate(json.loads(value))
    assert decode_prototype(key, value, NETWORK, D) == "a/b"


def test_no_value_removes_too():
    assert decode_prototype(f"{NETWORK}/a/b".encode(), None, NETWORK, D) == "a/b"


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 5.0, 1e30])
def test_embeddings_are_normalised(scale):
    key, value = changed(embedding=floats(*(UNIT * scale)))
    found = decode_prototype(key, value, NETWORK, D)
    assert found.embedding == pytest.approx(UNIT, abs=1e-6)


def test_the_embedding_that_flagged_carries_is_one():
    from moderator.decisions import _encoded

    key, value = changed(embedding=_encoded(UNIT.astype(np.float16)))
    schema("prototype-1").validate(json.loads(value))
    found = decode_prototype(key, value, NETWORK, D)
    assert found.embedding.dtype == np.float32
    assert found.embedding == pytest.approx(UNIT, abs=1e-3)
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-6)


def test_half_as_many_float32_are_not_taken_for_float16():
    rows = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    for row in rows / np.linalg.norm(rows, axis=1, keepdims=True):
        with pytest.raises(Skipped) as caught:
            decode_prototype(*changed(embedding=floats(*row)), NETWORK, 8)
        assert caught.value.cause in ("dimension", "not-finite")


def test_texts_that_are_none_are_replaced_by_the_type():
    for bad in ("gone", None, 5, {}, "", "x" * (MAX_TEXT + 1)):
        key, value = changed(family=bad, display_name=bad)
        found = decode_prototype(key, value, NETWORK, D)
        assert (found.family, found.display_name) == ("ak", "ak")


def test_members_that_are_not_known_are_ignored():
    assert decode_prototype(*changed(added="later"), NETWORK, D).prototype_id == "n"


KEY = f"{NETWORK}/n".encode()


@pytest.mark.parametrize(
    ("key", "value", "cause"),
    [
        (*encoded(network=OTHER), "network"),
        (f"{OTHER}/n".encode(), None, "network"),
        (*changed(network=OTHER), "network"),
        (None, encoded()[1], "malformed"),
        (b"", None, "malformed"),
        (NETWORK.encode(), encoded()[1], "malformed"),
        (f"{NETWORK}/".encode(), encoded()[1], "malformed"),
        (f"{NETWORK}/{'x' * (MAX_TEXT + 1)}".encode(), None, "malformed"),
        (f"{NETWORK}/".encode() + b"\xff", None, "malformed"),
        (KEY, b"", "malformed"),
        (KEY, b"\xff\xfe", "malformed"),
        (KEY, b"[" * 100_000, "malformed"),
        (KEY, b"[]", "malformed"),
        (*changed(schema="prototype/2"), "schema"),
        (*changed(schema="gone"), "schema"),
        (*changed(kind="gone"), "malformed"),
        (*changed(kind="umbrella"), "malformed"),
        (*changed(kind=["firearm"]), "malformed"),
        (*changed(type="gone"), "malformed"),
        (*changed(type=""), "malformed"),
        (*changed(type=5), "malformed"),
        (*changed(type="x" * (MAX_TEXT + 1)), "malformed"),
        (*changed(kind="override", type="x" * (MAX_TEXT + 1), digest=DIGEST), "malformed"),
        (*changed(kind="override"), "malformed"),
        (*changed(kind="override", digest="sha256:12"), "malformed"),
        (*changed(embedding="gone"), "malformed"),
        (*changed(embedding=None), "malformed"),
        (*changed(embedding=""), "malformed"),
        (*changed(embedding="*"), "malformed"),
        (*changed(embedding=[1, 0, 0]), "malformed"),
        (*changed(embedding=floats(1, 0)), "dimension"),
        (*changed(embedding=floats(1, 0, 0, 0)), "dimension"),
        (*changed(embedding="AAAA"), "dimension"),
        (*changed(embedding=floats(1, np.nan, 0)), "not-finite"),
        (*changed(embedding=floats(1, np.inf, 0)), "not-finite"),
        (*changed(embedding=floats(0, 0, 0)), "not-finite"),
    ],
)
def test_what_cannot_be_served_is_skipped_with_its_cause(key, value, cause):
    with pytest.raises(Skipped) as caught:
        decode_prototype(key, value, NETWORK, D)
    assert caught.value.cause == cause
    assert "\n" not in str(caught.value)


@given(key=st.none() | st.binary(max_size=20).map(lambda b: KEY + b), value=st.binary(max_size=50))
def test_no_bytes_raise_anything_else(key, value):
    with pytest.raises(Skipped):
        decode_prototype(key, value, NETWORK, D)


@dataclass
class Row:
    offset: int
    key: bytes | None
    value: bytes | None


class Topic:
    """A reader of a topic in memory: each poll gives a step, or raises it; then nothing comes."""

    def __init__(self, steps, end, last_position=None, next_end=0):
        self._steps = deque(steps)
        self._next_end = next_end
        self._end = end
        self._last_position = last_position
        self._position = 0
        self.idle = threading.Event()
        self.closed = threading.Event()

    def poll(self, timeout_ms):
        if not self._steps:
            self._position = self._last_position or self._position
            self.idle.set()
            threading.Event().wait(0.001)
            return {}
        step = self._steps.popleft()
        if isinstance(step, MadeAnew):
            self._position, self._end = 0, self._next_end
        if isinstance(step, Exception):
            raise step
        self._position = step[-1].offset + 1
        return {"prototypes-0": step}

    def end(self):
        return self._end

    def position(self):
        return self._position

    def close(self):
        self.closed.set()


def matcher() -> Matcher:
    prototypes = Prototypes(np.eye(D, dtype=np.float32)[:1], ("r",), ("glock",), ("firearm",))
    types = Types({"glock": ("pistol", "Glock 17")})
    return Matcher(
        SimpleNamespace(index=PrototypeIndex.build(prototypes), types=types, policy=Policy(0.5))
    )


def followed(topic: Topic) -> tuple[Matcher, bool]:
    """Follow a topic until nothing comes any more; return what is then served."""
    ours = matcher()
    overlay = Overlay(topic, ours, NETWORK, D)
    overlay.start()
    assert topic.idle.wait(10)
    topic.idle.clear()
    assert topic.idle.wait(10)
    caught_up = overlay.caught_up
    overlay.stop()
    assert topic.closed.is_set()
    return ours, caught_up


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def rows(*changes: tuple[bytes, bytes | None], begin: int = 0) -> list[Row]:
    return [Row(begin + place, *change) for place, change in enumerate(changes)]


def nearest(ours: Matcher) -> tuple[str, ...]:
    (found,) = ours.served.index.query(UNIT[None], 10)
    return found.ids


def test_a_topic_is_served_up_to_its_end_which_is_the_version():
    topic = Topic(
        [
            rows(
                encoded("n"),
                encoded("o", kind="override", embedding=None, firearm="", digest=DIGEST),
                (f"{NETWORK}/r".encode(), None),
            )
        ],
        end=3,
    )
    ours, caught_up = followed(topic)
    assert caught_up
    assert nearest(ours) == ("n",)
    assert ours.served.overrides == {DIGEST: Override("o", "")}
    assert ours.served.overlay == 3
    assert metric("moderator_overlay_version") == 3


def test_what_is_skipped_is_counted_and_the_rest_is_served():
    causes = {"network": 2, "dimension": 1, "not-finite": 1, "malformed": 1}
    name = "moderator_overlay_skipped_total"
    before = {cause: metric(name, cause=cause) for cause in causes}
    topic = Topic(
        [
            rows(
                encoded("a", network=OTHER),
                changed(embedding=floats(1, 2)),
                changed(embedding=floats(np.nan, 0, 0)),
                encoded("n"),
                (b"", b""),
                encoded("b", network=OTHER),
            )
        ],
        end=6,
    )
    ours, caught_up = followed(topic)
    assert nearest(ours) == ("n", "r")
    assert (ours.served.overlay, caught_up) == (6, True)
    assert {cause: metric(name, cause=cause) - before[cause] for cause in causes} == causes


def test_one_that_cannot_be_applied_takes_back_what_its_key_said():
    """Compaction would: of a key only the last record is left."""
    removal, bad = encode_removal("r", NETWORK), (f"{NETWORK}/r".encode(), b"{")
    topic = Topic([rows(encoded("n"), removal, changed(type=""), bad)], end=4)
    assert nearest(followed(topic)[0]) == ("r",)


def test_the_version_is_the_same_whatever_the_steps_and_wherever_the_last_change_lies():
    changes = [encoded("n"), encoded("a", network=OTHER), encoded("m"), (KEY, None), (b"", b"")]
    together = Topic([rows(*changes)], end=5)
    singly = Topic([rows(change, begin=n) for n, change in enumerate(changes)], end=5)
    (first, _), (second, _) = followed(together), followed(singly)
    assert first.served.overlay == second.served.overlay == 5
    assert nearest(first) == nearest(second) == ("m", "r")


def test_the_version_goes_on_over_what_holds_no_records():
    """Marks of transactions and records compacted away take up offsets."""
    ours, caught_up = followed(Topic([rows(encoded("n"))], end=4, last_position=4))
    assert (ours.served.overlay, caught_up) == (4, True)


def test_an_empty_topic_is_caught_up_with_at_once():
    ours, caught_up = followed(Topic([], end=0))
    assert (ours.served.overlay, caught_up) == (0, True)


def test_before_the_end_it_is_not_caught_up():
    assert not followed(Topic([rows(encoded("n"))], end=2))[1]


@pytest.mark.parametrize("first", [True, False])
def test_a_broker_that_is_away_is_asked_again(first):
    away = OSError("the broker is away")
    steps = [away, rows(encoded("n"))] if first else [rows(encoded("n")), away]
    ours, caught_up = followed(Topic(steps, end=1))
    assert nearest(ours) == ("n", "r")
    assert caught_up


def test_one_that_never_started_closes_its_reader():
    topic = Topic([], end=0)
    Overlay(topic, matcher(), NETWORK, D).stop()
    assert topic.closed.is_set()


def test_a_topic_made_anew_is_served_as_it_is_now():
    name = "moderator_topics_made_anew_total"
    before = metric(name, topic="prototypes")
    first = rows(encoded("n"), (f"{NETWORK}/r".encode(), None), encoded("m"))
    topic = Topic([first, MadeAnew("prototypes"), rows(encoded("o"))], end=3, next_end=1)
    ours, _ = followed(topic)
    assert nearest(ours) == ("o", "r")
    assert ours.served.overlay == metric("moderator_overlay_version") == 1
    assert metric(name, topic="prototypes") == before + 1


def test_what_is_made_anew_is_not_served_in_part():
    topic = Topic([rows(encoded("n")), MadeAnew(), rows(encoded("o"))], end=1, next_end=2)
    ours, caught_up = followed(topic)
    assert (nearest(ours), ours.served.overlay) == (("n", "r"), 1)
    assert caught_up


def test_one_made_anew_and_empty_takes_back_all():
    ours, _ = followed(Topic([rows(encoded("n"), encoded("m")), MadeAnew()], end=2))
    assert (nearest(ours), ours.served.overlay) == (("r",), 0)


names = st.sampled_from(["r", "n", "m"])
kinds = st.sampled_from(["removed", "firearm", "override", "malformed", "network"])


def record(name: str, what: str, number: int) -> tuple[bytes, bytes]:
    """Return a record of a prototype with this id; ``number`` tells those of a kind apart."""
    if what == "removed":
        return encode_removal(name, NETWORK)
    if what == "override":
        digest = f"sha256:{number % 2:064x}"
        return encoded(name, embedding=None, kind="override", digest=digest, firearm=f"t{number}")
    key, value = encoded(name, embedding=np.roll(UNIT, number), firearm=f"t{number}")
    body = {"malformed": b"{", "network": encoded(name, network=OTHER)[1]}
    return key, body.get(what, value)


def compacted(changes: list[Row]) -> list[Row]:
    """Return what compaction leaves once delete.retention.ms is over."""
    last = {row.key: row for row in changes}
    return [row for row in changes if last[row.key] is row and row.value is not None]


def member(steps: list[list[Row]], end: int) -> Matcher:
    """Return what a member serves that has read a topic in these steps."""
    ours = matcher()
    overlay = Overlay(Topic([], end), ours, NETWORK, D)
    for step in [*steps, []]:
        overlay._apply(step, end, at_end=True)
    return ours


@settings(max_examples=200)
@given(st.lists(st.tuples(names, kinds, st.integers(0, 2)), max_size=10), st.integers(0, 10))
def test_members_agree_before_and_after_compaction(changes, until):
    all_of_it = rows(*(record(*change) for change in changes))
    early = member([[row] for row in all_of_it], len(changes)).served
    partly = member([compacted(all_of_it[:until]), all_of_it[until:]], len(changes)).served
    late = member([compacted(all_of_it)], len(changes)).served
    for other in (partly, late):
        assert other.overlay == early.overlay
        assert other.overrides == early.overrides
        assert other.types == early.types
        for query in np.eye(D, dtype=np.float32):
            (one,), (two,) = early.index.query(query[None], 10), other.index.query(query[None], 10)
            assert (one.ids, one.types, one.kinds) == (two.ids, two.types, two.kinds)
            assert np.allclose(one.similarities, two.similarities, atol=1e-6)
