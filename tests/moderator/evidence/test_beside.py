"""Copies are kept whatever judges the posts beside: staged releases, shadows, regions, retries.

All parts are real but Kafka and what makes a copy: releases, fetching, decode processes, networks,
the store. What is combined covers every pair of what each may be.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.release import Release
from moderator.assembly import same_embeddings
from moderator.decisions import Decided
from moderator.decoding.view import View
from moderator.evidence.files import LocalFiles
from moderator.evidence.keeper import FAILURES, Keeper
from moderator.evidence.store import EvidenceStore
from moderator.records import Post, Record, digest
from moderator.retries import Retries, retry_topics
from moderator.rollout.servable import Servable, ready_servable
from moderator.rollout.shadow import Shadow
from moderator.rollout.switch import InUse, Switch
from moderator.settings import Settings, load_settings
from tests.moderator.member import until
from tests.moderator.rollout.samples import EAGER, with_network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IMAGE = (("content-type", b"image/jpeg"),)
LIMITS = {"max_bytes": 10**6, "max_images": 4}
REGIONS = replace(EAGER, region_margin=0.1)
QUARTERS = ((4, 3),)

# Every pair of a shadow, a staged release, the policy of the active one, and whether posts come
# back through a retry topic, is in one of these.
COMBINED = [
    ("none", "none", "whole", False),
    ("none", "other", "regions", True),
    ("same", "none", "regions", True),
    ("same", "other", "whole", False),
    ("other", "none", "whole", True),
    ("other", "other", "regions", False),
    ("other", "same", "whole", False),
    ("regions", "none", "regions", False),
    ("regions", "other", "whole", True),
    ("same", "same", "whole", True),
    ("regions", "same", "regions", True),
    ("none", "same", "regions", False),
]


class Copying:
    """Copies that are the picture itself, so that the bytes can be told."""

    def copied(self, data: bytes, view: View, timeout: float) -> bytes:
        return data


class Topic:
    """A shadow topic that counts."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, record: Any) -> bool:
        self.sent += 1
        return True

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("beside")


@pytest.fixture(scope="module")
def settings(folder) -> Settings:
    given = {
        "device": "cpu",
        "evidence_url": str(folder / "evidence"),
        "decode_processes": "1",
        "embed_threads": "1",
        "max_batch": "8",
        "allowed_root": str(folder),
        "cache_entries": "0",
    }
    return load_settings(given, environ={})


@pytest.fixture(scope="module")
def servables(settings, folder) -> Iterator[Callable[[str], Servable]]:
    """Give releases that flag everything, each of which is built once."""
    releases: dict[str, Release] = {
        "whole": with_network(folder / "whole", 128, QUARTERS),
        "regions": with_network(folder / "regions", 128, QUARTERS, REGIONS),
        "other": with_network(folder / "other", 96),
    }
    made: dict[str, Servable] = {}
    with ExitStack() as stack:

        def servable(name: str) -> Servable:
            if name not in made:
                made[name] = ready_servable(
                    settings, releases[name], lambda: None, threading.Event()
                )
                stack.callback(made[name].close)
            return made[name]

        yield servable


class Unclosed:
    """A servable of its own, which a shadow may close without ending the parts for others."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servable, name)


def shadow_of(servable: Servable, active: Servable, topic: Topic) -> Shadow:
    leans = same_embeddings(active.release, servable.release)
    return Shadow(Unclosed(servable), topic, leans=leans, depth=8)  # type: ignore[arg-type]


def posts(
    pictures: list[bytes], folder: Path, rounds: Retries, *, late: bool
) -> Iterator[list[Post]]:
    """Yield batches of posts of pictures by turns inline and by reference."""
    records = []
    for n, data in enumerate(pictures):
        name = folder / f"{digest(data)[-12:]}.jpg"
        name.unlink(missing_ok=True)
        body = json.dumps({"images": [{"url": name.as_uri()}]}).encode()
        by_reference = late or n % 2
        if by_reference and not late:
            name.write_bytes(data)
        value, headers = (body, ()) if by_reference else (data, IMAGE)
        records.append(Record("posts", 0, n, 1000 + n, b"p%d" % n, value, headers))
    yield [rounds.post(record, **LIMITS) for record in records]


def judged(switch: Switch, keeper: Keeper, rounds: Retries, batch: list[Post]) -> list[Decided]:
    """Take a batch through the steps that the pipeline takes it through."""
    split = switch.open(batch)
    switch.prepare(split)
    switch.embed(split)
    decided = [rounds.considered(each) for each in switch.judge(split)]
    kept = keeper.keep(decided, switch.take_data(split))
    switch.published(kept, len(kept))
    # Nobody holds what nobody needs any more.
    for piece in split.pieces:
        assert piece.batch.holders == 0
        assert all(picture.data is None for picture in piece.batch.each())
    return kept


def come_back(decided: list[Decided], folder: Path, pictures: list[bytes], rounds: Retries):
    """Return the posts as they are read from the retry topic, their pictures being there now."""
    for data in pictures:
        (folder / f"{digest(data)[-12:]}.jpg").write_bytes(data)
    back = []
    for n, each in enumerate(decided):
        assert each.retry is not None
        out = each.retry
        read = Record("posts.retry.10s", 0, n, 0, out.key, out.value, out.headers)
        back.append(rounds.post(read, **LIMITS))
    return back


@pytest.mark.parametrize(("shadow", "staged", "policy", "late"), COMBINED)
def test_every_flagged_picture_has_a_copy(
    servables, settings, folder, drawn, shadow, staged, policy, late
) -> None:
    other_policy = "regions" if policy == "whole" else "whole"
    names = {"same": policy, "other": "other", "regions": other_policy}
    active, topic = servables(policy), Topic()
    aside = None if staged == "none" else Unclosed(servables(names[staged]))
    beside = None if shadow == "none" else shadow_of(servables(names[shadow]), active, topic)
    switch = Switch(InUse(active, aside, 0.5, beside))  # type: ignore[arg-type]
    rounds = Retries(retry_topics(settings.retry), "posts")
    files = LocalFiles(folder / f"evidence-{shadow}-{staged}-{policy}-{late}")
    keeper = Keeper(EvidenceStore(files), Copying(), everything=False, timeout=30, connections=4)
    missed = [FAILURES.labels("bytes")._value.get(), FAILURES.labels("store")._value.get()]
    pictures = [drawn("revolver"), drawn("pistol", 3, "posted"), drawn("shotgun"), drawn("pistol")]
    pictures *= 2
    try:
        (batch,) = posts(pictures, folder, rounds, late=late)
        decided = judged(switch, keeper, rounds, batch)
        if late:
            assert not any(each.images[0].evidence for each in decided)
            back = come_back(decided, folder, pictures, rounds)
            decided = judged(switch, keeper, rounds, back)
        releases = {each.provenance.release for each in decided}
        assert len(releases) == (2 if staged == "other" else 1)
        for each, data in zip(decided, pictures, strict=True):
            assert each.decision.decision == "flag"
            url = each.images[0].evidence
            assert url is not None
            assert Path(url.removeprefix("file://")).read_bytes() == data
        if beside is not None:
            # One that leans on the active network has nothing of what another one judged.
            of_it = [each for each in decided if each.provenance.release == active.release.id]
            expected = len(of_it) if shadow == "same" else len(pictures)
            until(lambda: topic.sent == expected, "what the shadow decides", 30)
    finally:
        if beside is not None:
            beside.close()
        keeper.close()
    assert missed == [FAILURES.labels("bytes")._value.get(), FAILURES.labels("store")._value.get()]


def test_bytes_are_dropped_by_the_last_who_holds_them() -> None:
    from moderator.batch import Batch, Picture
    from moderator.records import PostImage

    batch = Batch([], [[Picture(PostImage("0"), b"data")]], 0.0)
    batch.hold()
    batch.hold()
    batch.let_go()
    assert [each.data for each in batch.each()] == [b"data"]
    batch.let_go()
    assert [each.data for each in batch.each()] == [None]


def test_every_pair_is_tried() -> None:
    axes = list(zip(*COMBINED, strict=True))
    for one in range(4):
        for other in range(one):
            there = set(zip(axes[one], axes[other], strict=True))
            assert len(there) == len(set(axes[one])) * len(set(axes[other]))
