"""A folder of releases, and members and posts of a group that changes between them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from models.release import Release
from moderator.compose import NamedImage, build_record
from moderator.settings import Settings, load_settings
from tests.moderator.heads import POLICY, with_head
from tests.moderator.member import Member, Network
from tests.moderator.rollout.samples import EAGER, damaged, with_network, with_policy


@dataclass(frozen=True)
class Folder:
    """Releases to change between; ``damaged`` is the id of one whose weights are changed.

    ``headed`` has a head on the network of ``tiny``; but ``tiny``, all of them flag whatever is
    judged.
    """

    path: Path
    tiny: Release
    eager: Release
    other: Release
    headed: Release
    damaged: str


@pytest.fixture(scope="session")
def releases(tiny_release, tmp_path_factory) -> Folder:
    """A folder of releases that tests only read."""
    path = tmp_path_factory.mktemp("folder")
    made = tmp_path_factory.mktemp("made")
    lost = with_policy(tiny_release, made / "lost", replace(EAGER, near_miss=0.5))
    damaged(lost, path / lost.id)
    return Folder(
        path,
        tiny_release,
        with_policy(tiny_release, path / "eager"),
        with_network(path / "other"),
        with_head(tiny_release, path / "headed", replace(POLICY, threshold=-1000.0)),
        lost.id,
    )


@dataclass
class Group:
    """A group of members whose releases lie in a folder."""

    network: Network
    start: Callable[..., Member]
    settings: Settings
    out: Console
    posted: int = 0

    @contextmanager
    def pouring(self, picture: bytes) -> Iterator[None]:
        """Post one picture after the other, on a thread, while what is inside goes on."""
        stop = threading.Event()

        def pour() -> None:
            while not stop.wait(0.01):
                self.post(picture)

        thread = threading.Thread(target=pour)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def post(self, picture: bytes) -> str:
        """Post a picture and return its decision's id; post ids count up."""
        image = NamedImage("0", picture, "image/jpeg")
        post_id = f"post-{self.posted}"
        self.posted += 1
        return self.network.post(build_record([image], post_id=post_id, form="binary"))


@pytest.fixture
def group(kafka, topics, releases, tmp_path) -> Iterator[Group]:
    topics.create(kafka)
    network = Network(kafka, topics)
    members: list[Member] = []
    base = {
        **topics.overrides(kafka),
        "release": str(releases.tiny.path),
        "releases_url": str(releases.path),
    }

    def start(name: str = "0", **given: Any) -> Member:
        members.append(Member({**base, "max_batch": "4", **given}, tmp_path, name))
        return members[-1]

    settings = load_settings({**base, "device": "cpu"}, environ={})
    with (tmp_path / "said").open("w") as file:
        yield Group(network, start, settings, Console(file=file))
    for each in members:
        each.close()
    network.close()
