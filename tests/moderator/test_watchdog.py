"""The watchdog and the probes that show what it says."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from moderator.errors import BadSettings
from moderator.probes import Probes
from moderator.watchdog import Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock) -> Watchdog:
    return Watchdog(30, clock)


def test_work_that_ends_in_time_is_well(watchdog, clock) -> None:
    with watchdog.working("embed"):
        clock.now += 29
        assert watchdog.stalled() == []
    clock.now += 1000
    assert watchdog.stalled() == []


def test_work_that_hangs_is_named_with_its_time(watchdog, clock) -> None:
    with watchdog.working("publish"), watchdog.working("embed"):
        clock.now += 31
        watchdog.turn("publish")
        assert watchdog.stalled() == ["embed has not moved for 31 s"]
        clock.now += 31
        assert [line.split()[0] for line in watchdog.stalled()] == ["embed", "publish"]


def test_turning_what_does_not_work_begins_nothing(watchdog, clock) -> None:
    watchdog.turn("publish")
    clock.now += 1000
    assert watchdog.stalled() == []


def test_work_that_raises_is_over(watchdog, clock) -> None:
    with pytest.raises(ValueError, match="no"), watchdog.working("judge"):
        raise ValueError("no")
    clock.now += 1000
    assert watchdog.stalled() == []


def test_a_loop_is_watched_by_its_last_turn_until_it_is_over(watchdog, clock) -> None:
    turned = clock.now
    watchdog.watch("reading", lambda: turned)
    clock.now += 31
    assert watchdog.stalled() == ["reading has not moved for 31 s"]
    watchdog.watch("reading", None)
    assert watchdog.stalled() == []


def test_ready_is_when_every_condition_holds(watchdog) -> None:
    there = {"overlay": False, "group": True}
    watchdog.require("overlay", lambda: there["overlay"])
    watchdog.require("group", lambda: there["group"])
    assert watchdog.missing() == ["overlay"]
    there["overlay"] = True
    assert watchdog.missing() == []


@pytest.fixture
def probes(watchdog) -> Iterator[Probes]:
    with Probes("127.0.0.1", 0, watchdog) as probes:
        yield probes


def get(probes: Probes, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{probes.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_probes_answer_as_the_watchdog_says(probes, watchdog, clock) -> None:
    assert get(probes, "/livez") == (200, "ok\n")
    assert get(probes, "/readyz?verbose") == (200, "ok\n")
    watchdog.require("the group", lambda: False)
    assert get(probes, "/readyz") == (503, "not yet: the group\n")
    watchdog.watch("reading", lambda: clock.now - 31)
    assert get(probes, "/livez") == (503, "reading has not moved for 31 s\n")
    assert get(probes, "/livez", "HEAD") == (503, "")


def test_metrics_are_in_the_text_format_with_help_and_type(probes) -> None:
    from moderator.streaming import publish

    publish.DECISIONS.labels("flag", "match").inc(0)
    status, text = get(probes, "/metrics")
    assert status == 200
    assert "# TYPE moderator_decisions_total counter" in text
    assert 'moderator_decisions_total{decision="flag",reason="match"}' in text
    assert "process_resident_memory_bytes" in text


def test_other_paths_are_not_found(probes) -> None:
    assert get(probes, "/")[0] == 404


def test_a_port_in_use_is_one_line_that_says_what_to_do(probes, watchdog) -> None:
    with pytest.raises(BadSettings, match=rf"127.0.0.1:{probes.port} is in use; .*http_port"):
        Probes("127.0.0.1", probes.port, watchdog)


def test_remarks_are_told_beside_readiness_and_do_not_decide_it(probes, watchdog) -> None:
    said: list[str | None] = [None]
    watchdog.require("group", lambda: True)
    watchdog.remark(lambda: said[0])
    assert get(probes, "/readyz") == (200, "ok\n")
    said[0] = "no partition of posts is this member's"
    assert get(probes, "/readyz") == (200, "ok\nno partition of posts is this member's\n")
