"""What every test may ask for: the real services, names of its own, and the photographs."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from tests.services.kafka import KafkaService
from tests.services.process import Service, ServiceMissingError
from tests.services.redis import RedisService

REPOSITORY = Path(__file__).resolve().parent.parent


SLOW = tuple(
    REPOSITORY / "tests" / name
    for name in (
        "models/test_backbones.py",
        "moderator/decoding/test_animation.py",
        "moderator/decoding/test_profiles.py",
        "moderator/decoding/test_scenes.py",
        "moderator/evidence",
        "moderator/fetching/test_fetch.py",
        "moderator/fetching/test_https.py",
        "moderator/streaming/test_connecting.py",
        "moderator/test_drawings.py",
        "moderator/test_judge.py",
        "services",
        "training/calibration",
        "training/ranking",
        "training/stages",
        "training/study",
        "training/synthesis",
        "training/test_release.py",
        "training/tuning",
    )
)
"""Tests that train, draw, or wait; many short ones, which together take longer than the rest."""


def pytest_configure() -> None:
    """Take Ctrl-C as usual, also where a shell that starts tests in its background ignores it.

    What a process ignores, the members and services that it starts ignore too.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the services they ask for; those of Kafka are slow, and those of ``SLOW``."""
    for item in items:
        if any(item.path.is_relative_to(place) for place in SLOW):
            item.add_marker(pytest.mark.slow)
        names = getattr(item, "fixturenames", ())
        if "kafka" in names:
            item.add_marker(pytest.mark.kafka)
            item.add_marker(pytest.mark.slow)
        if "redis_service" in names:
            item.add_marker(pytest.mark.redis)


Kind = TypeVar("Kind", bound=Service)


@contextmanager
def running(kind: Callable[[Path], Kind], folder: Path) -> Iterator[Kind]:
    """Run a service; where what it needs is missing, the test fails with one line."""
    try:
        service = kind(folder)
    except ServiceMissingError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        service.start()
        yield service
    finally:
        service.close()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaService]:
    """The broker that all tests share; a test that stops it starts it again."""

    def apart(folder: Path) -> KafkaService:
        return KafkaService(folder, controller=folder / "controller")

    with running(apart, tmp_path_factory.mktemp("kafka")) as service:
        yield service


@pytest.fixture(scope="session")
def redis_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisService]:
    """The Redis that all tests share, without a password; a test that stops it starts it again."""
    with running(RedisService, tmp_path_factory.mktemp("redis")) as service:
        yield service


@dataclass(frozen=True)
class TopicNames:
    """Names of one test's topics and group, which nothing else uses."""

    posts: str
    decisions: str
    flagged: str
    dead_letter: str
    prototypes: str
    control: str
    shadow: str
    group: str
    retry_prefix: str = ""
    retry_delays: tuple[str, ...] = ()

    @property
    def deletions(self) -> str:
        """The topic of deletions to be done later."""
        return f"{self.posts}.deletions"

    @classmethod
    def unique(cls) -> "TopicNames":
        """Return names that were never used before."""
        suffix = uuid.uuid4().hex[:8]
        roles = ("posts", "decisions", "flagged", "dead-letter", "prototypes", "control")
        return cls(*(f"{role}-{suffix}" for role in (*roles, "shadow", "group")))

    def retrying(self, *delays: str) -> "TopicNames":
        """Return the same with retry topics of these delays."""
        return replace(self, retry_prefix=f"{self.posts}.retry.", retry_delays=delays)

    def overrides(self, kafka: KafkaService) -> dict[str, str]:
        """Return the settings that point at these topics, as ``--set`` takes them."""
        return {
            "bootstrap_servers": kafka.bootstrap_servers,
            "group": self.group,
            "posts_topic": self.posts,
            "decisions_topic": self.decisions,
            "flagged_topic": self.flagged,
            "dead_letter_topic": self.dead_letter,
            "deletions_topic": self.deletions,
            "prototypes_topic": self.prototypes,
            "retry_topic_prefix": self.retry_prefix or "posts.retry.",
            "retry_delays": ",".join(self.retry_delays),
            "control_topic": self.control,
            "shadow_topic": self.shadow,
        }

    def create(self, kafka: KafkaService, partitions: int = 2) -> None:
        """Create all of them, as ``topics create`` would."""
        large = {"max.message.bytes": str(9 * 2**20)}
        retries = [f"{self.retry_prefix}{delay}" for delay in self.retry_delays]
        outputs = (self.decisions, self.flagged, self.dead_letter, self.shadow, self.deletions)
        for name in (self.posts, *outputs, *retries):
            kafka.create(name, partitions=partitions, config=large)
        for name in (self.prototypes, self.control):
            kafka.create(name, config={"cleanup.policy": "compact"})


@pytest.fixture
def topics() -> TopicNames:
    """Names of topics and a group for this test alone; ``topics.create(kafka)`` makes them."""
    return TopicNames.unique()


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The folder of photographs beside the repository, or of ``TEST_DATA_FOLDER``."""
    folder = Path(os.environ.get("TEST_DATA_FOLDER") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "firearms").is_dir():
        pytest.skip(f"no photographs in {folder}; set TEST_DATA_FOLDER to their folder")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give each test, and what is set up for it, the same random weights whatever ran before.

    With some of them, as those of seed 0, an untrained network tells nothing apart.
    """
    torch.manual_seed(1)
