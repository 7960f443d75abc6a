"""The suite itself: a small run through faults of many kinds, and that its control fails.

``make chaos`` runs larger ones.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos import __main__ as command
from tests.chaos.control import Control, control
from tests.chaos.driver import run
from tests.chaos.markers import Marker, aborted_after
from tests.chaos.markers import markers as markers_of
from tests.chaos.release import cheap_release, pictures
from tests.chaos.report import as_markdown
from tests.chaos.unguarded import UNGUARDED
from tests.moderator.member import until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(600)]

ROUNDS = 12
"""Times that the control posts every picture."""


def small(tmp_path: Path):
    amounts = "--posts 2000 --kills 3 --restarts 1 --rebalances 2 --others 1 --seed 4"
    return command.order(command.parser().parse_args(amounts.split()), tmp_path)


def test_a_small_run_loses_and_doubles_nothing(tmp_path) -> None:
    said: list[str] = []
    report = run(small(tmp_path), tmp_path, said.append)
    text = "\n".join([*said, as_markdown(report)])
    print(text)
    assert report.failures() == [], text
    assert report.counts["decisions"].wanted >= 2000
    assert report.counts["flagged"].wanted > 0
    assert report.counts["dead letters"].wanted > 0
    # A reader that also takes what is not committed finds decisions twice: the kills hit home.
    assert report.uncommitted > 0


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return cheap_release(tmp_path_factory.mktemp("chaos") / "release", pictures())


def frozen(kafka, release: Path, folder: Path, environ: Mapping[str, str]) -> Control:
    posts = pictures().records() * ROUNDS
    module = "tests.chaos.unguarded"
    return control(kafka, release, posts, folder, module=module, environ=environ)


def test_members_without_their_guard_are_found_out(kafka, release, tmp_path) -> None:
    found = frozen(kafka, release, tmp_path, UNGUARDED)
    assert found.committed.doubled or found.committed.lost
    assert found.everything.doubled


def test_a_frozen_member_with_many_batches_in_flight_doubles_nothing(
    kafka, release, tmp_path
) -> None:
    """The same with the guard; it once was given back a partition that the other still had."""
    assert frozen(kafka, release, tmp_path, {}).committed.right


def test_ends_of_transactions_are_found_in_the_brokers_files(kafka, topics) -> None:
    from kafka import KafkaProducer

    def ends() -> list[Marker]:
        return list(markers_of(kafka.segment(topics.decisions, 0).read_bytes()))

    kafka.create(topics.decisions)
    for commit in (True, False):
        producer = KafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, transactional_id=topics.group
        )
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topics.decisions, b"value" * 100)
        producer.flush()
        producer.commit_transaction() if commit else producer.abort_transaction()
        producer.close()
    # The broker says that a transaction has ended before its mark is written.
    until(lambda: len(ends()) == 2, "both marks")
    found = ends()
    assert [each.committed for each in found] == [True, False]
    first, second = found
    assert first.producer == second.producer
    assert not aborted_after(found, first.producer, first.time)
    assert aborted_after(found, first.producer, second.time)
    assert not aborted_after(found, first.producer, second.time + 60)
    assert not aborted_after(found, first.producer + 1, 0)
