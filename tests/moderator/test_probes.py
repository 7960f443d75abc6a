"""Addresses listened on, and hostile clients; the answers are tested with the watchdog."""

import socket
import threading
import urllib.error
import urllib.request

import pytest

from moderator import worker
from moderator.errors import BadSettings
from moderator.probes import Probes
from moderator.settings import load_settings
from moderator.watchdog import Watchdog
from tests.services.process import free_port


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "host.invalid", "a..b", "2001:db8::1", "12.34.56.78.90"]
)
def test_a_host_that_is_not_this_machine_is_said_to_be_the_hosts_fault(host) -> None:
    with pytest.raises(BadSettings) as caught:
        Probes(host, 0, Watchdog(30))
    text = str(caught.value)
    shown = f"[{host}]" if ":" in host else host
    assert text.startswith(f"listening on {shown}:0 fails: ")
    assert "http_host must be" in text
    assert "http_port" not in text
    assert "\n" not in text


def test_a_port_in_use_is_the_ports_fault() -> None:
    with Probes("127.0.0.1", 0, Watchdog(30)) as first:
        with pytest.raises(BadSettings, match="is in use; choose another http_port") as caught:
            Probes("127.0.0.1", first.port, Watchdog(30))
        assert "http_host" not in str(caught.value)


def livez(host: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/livez", timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "asked"), [("::1", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"])])
def test_ipv6_is_listened_on(host, asked) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 address")
    with Probes(host, 0, Watchdog(30)) as probes:
        assert [livez(each, probes.port) for each in asked] == ["ok\n"] * len(asked)


def test_connections_that_say_nothing_cost_no_thread_and_keep_nobody_from_an_answer() -> None:
    with Probes("127.0.0.1", 0, Watchdog(30)) as probes:
        livez("127.0.0.1", probes.port)
        before = threading.active_count()
        silent = [socket.create_connection(("127.0.0.1", probes.port)) for _ in range(600)]
        try:
            for each in silent[::2]:
                each.send(b"GET /m")
            assert livez("127.0.0.1", probes.port) == "ok\n"
            assert threading.active_count() == before
        finally:
            for each in silent:
                each.close()


def test_a_head_without_end_and_one_too_large_are_hung_up_on(monkeypatch) -> None:
    from moderator import probes as module

    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.2)
    with Probes("127.0.0.1", 0, Watchdog(30)) as probes:
        for sent in (b"GET /livez HTTP/1.1\r\n", b"GET /" + b"x" * 2**17):
            with socket.create_connection(("127.0.0.1", probes.port), timeout=5) as client:
                try:
                    client.sendall(sent)
                    assert client.recv(100) == b""
                except (ConnectionResetError, BrokenPipeError):
                    pass
        assert livez("127.0.0.1", probes.port) == "ok\n"


@pytest.mark.parametrize("sent", [b"POST /drain HTTP/1.1\r\n\r\n", b"\xff\x00\r\n\r\n"])
def test_there_is_nothing_to_post_to(sent) -> None:
    with (
        Probes("127.0.0.1", 0, Watchdog(30)) as probes,
        socket.create_connection(("127.0.0.1", probes.port), timeout=5) as client,
    ):
        client.sendall(sent)
        assert client.recv(100).startswith(b"HTTP/1.1 405 ")


def test_a_member_is_not_ready_from_the_first_moment_that_its_probes_answer(
    tiny_release, monkeypatch
) -> None:
    port = free_port()

    class Asked(Exception):
        pass

    def ask(*_: object) -> None:
        with pytest.raises(urllib.error.HTTPError, match="503") as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
        assert b"serving posts" in caught.value.read()
        raise Asked

    # The first thing that is done once the probes answer.
    monkeypatch.setattr(worker, "_listen_for_drain", ask)
    given = {"release": str(tiny_release.path), "http_host": "127.0.0.1", "http_port": str(port)}
    with pytest.raises(Asked):
        worker.run_worker(load_settings(given, environ={}))
