"""Draining by command: who may ask, whom it reaches, and what is waited for."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from moderator import drain_socket
from moderator.drain_socket import DrainSocket, member_name, socket_path
from moderator.draining import run_drain
from moderator.errors import BadSettings, Unavailable
from moderator.settings import Settings, load_settings

MEMBER = """
import sys, threading, time
from pathlib import Path
from moderator.drain_socket import DrainSocket
asked = threading.Event()
with DrainSocket(Path(sys.argv[1]), sys.argv[2], asked.set):
    print("ready", flush=True)
    asked.wait()
time.sleep(float(sys.argv[3]))
print("ended", flush=True)
"""
"""A process that listens as a member does, and goes on for a while after it was asked."""


class Running:
    """Such a process."""

    def __init__(self, folder: Path, settings: Settings, after: float = 0.5) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MEMBER, str(folder), member_name(settings.kafka), str(after)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "run"


def settings(folder: Path, **given: str) -> Settings:
    return load_settings({"runtime_folder": str(folder), **given}, environ={})


@pytest.fixture
def mine(folder) -> Settings:
    return settings(folder, instance="a", bootstrap_servers="127.0.0.1:9")


@pytest.fixture
def running(folder, mine) -> Iterator[Running]:
    running = Running(folder, mine)
    yield running
    running.close()


def drained(settings: Settings, *, leave: bool = False) -> tuple[int, str]:
    out = Console(width=200, record=True, quiet=False)
    with out.capture() as said:
        code = run_drain(settings, out, leave=leave)
    return code, said.get()


def test_the_member_is_asked_and_its_process_waited_for(mine, running) -> None:
    code, said = drained(mine)
    assert code == 0
    assert "drained and ended after " in said
    # It ended by itself before the command did, not only closed its socket.
    assert running.process.wait(1) == 0
    assert running.process.stdout.read() == "ended\n"


def test_a_member_that_does_not_end_in_its_time_is_said_to_be_there(
    folder, mine, monkeypatch
) -> None:
    monkeypatch.setattr("moderator.draining.LEAVING", 0.2)
    slow = mine.model_copy(
        update={"pipeline": mine.pipeline.model_copy(update={"drain_timeout": 0.2})}
    )
    running = Running(folder, mine, after=60)
    try:
        code, said = drained(slow)
        assert (code, running.lives) == (1, True)
        assert "still there" in said
    finally:
        running.close()


def test_a_member_that_is_named_is_the_one_that_drains(folder, mine, running) -> None:
    with pytest.raises(Unavailable, match=r'"b".*members there: .*"a"') as caught:
        drained(settings(folder, instance="b"))
    assert running.lives
    assert "\n" not in str(caught.value)


def test_without_a_name_the_only_member_is_meant_and_of_two_none_is(folder, mine, running) -> None:
    other = Running(folder, settings(folder, instance="b"))
    try:
        with pytest.raises(Unavailable, match="members there"):
            drained(settings(folder))
        assert running.lives
        assert other.lives
        other.process.kill()
        other.process.wait()
        # What was killed leaves its socket behind, and is not a member any more.
        assert drained(settings(folder))[0] == 0
        assert running.process.wait(5) == 0
    finally:
        other.close()


def test_nobody_there_is_said_in_one_line(mine) -> None:
    with pytest.raises(Unavailable, match="members there: none") as caught:
        drained(mine)
    assert "\n" not in str(caught.value)


def test_leaving_is_for_static_members(mine) -> None:
    with pytest.raises(BadSettings, match="group_instance_id"):
        drained(mine, leave=True)


def test_only_its_user_may_ask(folder, mine, running) -> None:
    path = socket_path(folder, member_name(mine.kafka))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_hung_up_on_though_the_folder_were_open() -> None:
    asked: list[int] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _ask_as_nobody(folder, asked)
    assert asked == []


def _ask_as_nobody(folder: Path, asked: list[int]) -> None:
    with DrainSocket(folder, "m", lambda: asked.append(1)):
        path = socket_path(folder, "m")
        path.chmod(0o777)
        folder.chmod(0o777)
        script = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534);"
            "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]);"
            "s.sendall(b'drain\\n'); print(len(s.recv(99)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
        )
        # It got in, and is hung up on before or after it spoke.
        hung_up = ("ConnectionResetError", "BrokenPipeError")
        assert done.stdout == "0\n" or any(each in done.stderr for each in hung_up), done.stderr


def test_a_folder_that_others_may_enter_is_refused(tmp_path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(BadSettings, match="chmod 700"):
        DrainSocket(folder, "m", lambda: None)


def test_a_client_that_says_nothing_holds_nobody_up_for_long(folder, monkeypatch) -> None:
    monkeypatch.setattr(drain_socket, "ASKED", 0.2)
    asked: list[int] = []
    with DrainSocket(folder, "m", lambda: asked.append(1)):
        path = socket_path(folder, "m")
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(path))
            found = drain_socket.ask(path, drain=True)
    assert (found.name, found.process, asked) == ("m", os.getpid(), [1])


def test_a_successor_of_the_same_name_keeps_its_socket(folder) -> None:
    first = DrainSocket(folder, "m", lambda: None)
    with DrainSocket(folder, "m", lambda: None):
        first.close()
        assert drain_socket.ask(socket_path(folder, "m"), drain=False) is not None


def test_a_member_that_was_out_of_descriptors_is_asked_later(folder) -> None:
    asked = threading.Event()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    path = socket_path(folder, "member")
    with DrainSocket(folder, "member", asked.set), socket.socket(socket.AF_UNIX) as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))
        try:
            client.connect(str(path))
            client.sendall(b"name\n")
            time.sleep(0.3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, most)
        client.settimeout(5)
        assert client.recv(64) == b"member"
        assert drain_socket.ask(path, drain=True) is not None
        assert asked.wait(5)


def test_the_command_says_it_in_one_line(capsys, tmp_path) -> None:
    from moderator.cli import main

    with pytest.raises(SystemExit, match="2"):
        main(["drain", "--set", f"runtime_folder={tmp_path}"])
    assert "members there: none" in capsys.readouterr().err
