"""Draining by command: who may ask, whom it reaches, and what a static member leaves behind."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from rich.console import Console

from moderator.draining import member_name, run_drain
from moderator.errors import BadSettings, Unavailable
from moderator.probes import DRAIN, NAME_HEADER, Draining, Probes
from moderator.settings import Settings, load_settings
from moderator.watchdog import Watchdog
from tests.services.process import free_port


class Running:
    """The port of a member that ends when it is drained."""

    def __init__(self, settings: Settings) -> None:
        self.asked = 0
        self._probes: Probes | None = Probes(
            "127.0.0.1",
            settings.serving.http_port,
            Watchdog(30),
            Draining(member_name(settings.kafka), self._begin),
        )

    def _begin(self) -> None:
        import threading

        self.asked += 1
        threading.Timer(0.3, self.close).start()

    def close(self) -> None:
        probes, self._probes = self._probes, None
        if probes is not None:
            probes.close()


def settings(**given: str) -> Settings:
    return load_settings({"http_port": str(free_port()), **given}, environ={})


@pytest.fixture
def mine() -> Settings:
    return settings(instance="a", bootstrap_servers="127.0.0.1:9")


@pytest.fixture
def running(mine) -> Iterator[Running]:
    running = Running(mine)
    yield running
    running.close()


def drained(settings: Settings, *, leave: bool = False) -> tuple[int, str]:
    out = Console(width=200, record=True, quiet=False)
    with out.capture() as said:
        code = run_drain(settings, out, leave=leave)
    return code, said.get()


def test_the_member_is_asked_and_waited_for(mine, running) -> None:
    code, said = drained(mine)
    assert (code, running.asked) == (0, 1)
    assert "drained and ended after 0." in said


def test_a_member_that_does_not_end_in_its_time_is_said_to_be_there(mine, monkeypatch) -> None:
    monkeypatch.setattr("moderator.draining.LEAVING", 0.2)
    slow = mine.model_copy(
        update={"pipeline": mine.pipeline.model_copy(update={"drain_timeout": 0.2})}
    )
    watchdog = Watchdog(30)
    draining = Draining(member_name(mine.kafka), lambda: None)
    with Probes("127.0.0.1", mine.serving.http_port, watchdog, draining):
        code, said = drained(slow)
    assert code == 1
    assert "still there" in said


def test_another_member_at_that_port_goes_on(mine, running) -> None:
    other = settings(instance="b", http_port=str(mine.serving.http_port))
    with pytest.raises(Unavailable, match=r'the member here is .*"a"'):
        drained(other)
    assert running.asked == 0


def test_nobody_there_is_said_in_one_line(mine) -> None:
    with pytest.raises(Unavailable, match=r"no member answers at 127.0.0.1:.*http_port") as caught:
        drained(mine)
    assert "\n" not in str(caught.value)


def test_leaving_is_for_static_members(mine) -> None:
    with pytest.raises(BadSettings, match="group_instance_id"):
        drained(mine, leave=True)


def test_only_who_names_the_member_begins_it(mine, running) -> None:
    def post(headers: dict[str, str], path: str = DRAIN) -> int:
        url = f"http://127.0.0.1:{mine.serving.http_port}{path}"
        request = urllib.request.Request(url, method="POST", headers=headers, data=b"")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert post({}) == 409
    assert post({NAME_HEADER: "another"}) == 409
    assert post({NAME_HEADER: member_name(mine.kafka)}, "/livez") == 404
    assert running.asked == 0
    assert post({NAME_HEADER: member_name(mine.kafka)}) == 202
    assert running.asked == 1


def test_other_machines_may_not_ask(mine, running, monkeypatch) -> None:
    from moderator import probes

    monkeypatch.setattr(probes._Handler, "_from_here", lambda _: False)
    with pytest.raises(Unavailable, match="own machine only"):
        drained(mine)
    assert running.asked == 0


@pytest.mark.parametrize(
    ("other", "own", "here"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.9", "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("10.0.0.6", "10.0.0.5", False),
        ("192.168.0.1", "127.0.0.1", False),
    ],
)
def test_who_is_on_this_machine(other, own, here) -> None:
    from types import SimpleNamespace

    from moderator.probes import _Handler

    ends = SimpleNamespace(
        client_address=(other, 1), connection=SimpleNamespace(getsockname=lambda: (own, 2))
    )
    assert _Handler._from_here(ends) is here


def test_the_command_says_it_in_one_line(capsys) -> None:
    from moderator.cli import main

    with pytest.raises(SystemExit, match="2"):
        main(["drain", "--set", f"http_port={free_port()}"])
    assert "no member answers" in capsys.readouterr().err
