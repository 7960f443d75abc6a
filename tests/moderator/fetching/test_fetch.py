"""The fetcher: each URL to its source, fair shares of the connections, and an end."""

import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import fsspec
import pytest

from moderator.concerns.fetch import Fetch
from moderator.fetching.addresses import Address
from moderator.fetching.fetch import CAUSES, Fetcher, Unreachable
from moderator.fetching.files import FileSource
from tests.moderator.tls_server import TlsServer, answer, certificate

IMAGE = b"\xff\xd8\xff" + bytes(1_000)


class Gate:
    """A behaviour that answers once it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.arrived = threading.Semaphore(0)

    def __call__(self, connection: ssl.SSLSocket, server: TlsServer) -> None:
        self.arrived.release()
        self.open.wait(30)
        answer(IMAGE)(connection, server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    server = TlsServer(*certificate(tmp_path_factory.mktemp("tls")))
    yield server
    server.close()


@pytest.fixture
def gate(server: TlsServer) -> Iterator[Gate]:
    gate = Gate()
    server.requests.clear()
    server.paths = {"/slow": gate, "/image.jpg": answer(IMAGE)}
    yield gate
    gate.open.set()


def made(server: TlsServer, *, resolver: Any = None, **given: Any) -> Fetcher:
    hosts = ("images.example", "*.cdn.example")
    fetch = Fetch(**{"allowed_hosts": hosts, "fetch_timeout": 30.0, **given})
    context = ssl.create_default_context(cafile=str(server.cert))
    return Fetcher(fetch, 10_000, resolver=resolver or server.resolve, context=context)


def cause(future: Any) -> str:
    with pytest.raises(Unreachable) as caught:
        future.result(60)
    assert caught.value.cause in CAUSES
    return caught.value.cause


def test_each_url_goes_to_its_source(server, gate, tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(b"of a file")
    fsspec.filesystem("memory").pipe_file("/bucket/image.jpg", b"of a store")
    fetcher = made(server, allowed_root=tmp_path, allowed_stores=("memory://bucket/",))
    urls = (
        "https://images.example/image.jpg",
        f"file://{tmp_path}/image.jpg",
        "memory://bucket/image.jpg",
    )
    fetched = [future.result(60) for future in [fetcher.fetch(url) for url in urls]]
    assert fetched == [IMAGE, b"of a file", b"of a store"]
    assert cause(fetcher.fetch(f"file://{tmp_path}/absent.jpg")) == "not-found"
    assert cause(fetcher.fetch("memory://other/image.jpg")) == "not-allowed"
    fetcher.close()


def test_many_images_at_once(server, gate) -> None:
    fetcher = made(server, fetch_connections=4)
    futures = [fetcher.fetch(f"https://{n % 5}.cdn.example/image.jpg?{n}") for n in range(60)]
    assert all(future.result(60) == IMAGE for future in futures)
    fetcher.close()


def test_a_slow_host_leaves_connections_to_others(server, gate) -> None:
    fetcher = made(server, fetch_connections=4)
    slow = [fetcher.fetch("https://slow.cdn.example/slow") for _ in range(10)]
    for _ in range(2):
        assert gate.arrived.acquire(timeout=30)
    assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE
    assert not any(future.done() for future in slow)
    assert len(server.requests) == 3
    gate.open.set()
    assert all(future.result(60) == IMAGE for future in slow)
    fetcher.close()


def test_no_host_has_more_than_its_share(server, gate) -> None:
    fetcher = made(server, fetch_connections=5, fetch_per_host=2)
    slow = [fetcher.fetch(f"https://{n % 2}.cdn.example/slow") for n in range(10)]
    for _ in range(4):
        assert gate.arrived.acquire(timeout=30)
    assert not gate.arrived.acquire(timeout=0.2)
    assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE
    gate.open.set()
    assert all(future.result(60) == IMAGE for future in slow)
    fetcher.close()


def test_a_connection_that_comes_free_goes_to_the_host_with_the_fewest(server, gate) -> None:
    order: list[str] = []

    def resolve(host: str, port: int, timeout: float) -> Sequence[Address]:
        order.append(host)
        return server.resolve(host, port, timeout)

    fetcher = made(server, resolver=resolve, fetch_connections=4, fetch_per_host=3)
    first = [fetcher.fetch("https://a.cdn.example/slow") for _ in range(6)]
    first += [fetcher.fetch("https://b.cdn.example/slow") for _ in range(3)]
    for _ in range(4):
        assert gate.arrived.acquire(timeout=30)
    assert sorted(order) == ["a.cdn.example"] * 3 + ["b.cdn.example"]
    last = fetcher.fetch("https://c.cdn.example/image.jpg")
    gate.open.set()
    assert last.result(60) == IMAGE
    assert all(future.result(60) == IMAGE for future in first)
    # Whichever host gave its connection back, b or c came before another of a's.
    assert order[4] in ("b.cdn.example", "c.cdn.example")
    fetcher.close()


def test_a_host_that_did_not_answer_has_one_connection_until_it_does(server, gate) -> None:
    fetcher = made(
        server, fetch_connections=8, fetch_per_host=4, fetch_timeout=0.5, host_timeouts=0
    )
    urls = ["https://slow.cdn.example/slow"] * 4
    assert [cause(future) for future in map(fetcher.fetch, urls)] == ["timeout"] * 4
    for _ in range(4):
        assert gate.arrived.acquire(timeout=30)
    again = [fetcher.fetch(url) for url in urls]
    assert gate.arrived.acquire(timeout=30)
    assert not gate.arrived.acquire(timeout=0.2)
    assert {cause(future) for future in again} == {"timeout"}
    gate.open.set()
    assert fetcher.fetch(urls[0]).result(60) == IMAGE
    assert all(fetcher.fetch(url).result(60) == IMAGE for url in urls)
    assert not fetcher._slow
    fetcher.close()


def test_a_share_of_all_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"fetch_per_host \(4\) must be less than"):
        Fetch(fetch_connections=4, fetch_per_host=4)
    assert Fetch(fetch_connections=1).share == 1
    assert Fetch().share == 8


def test_what_waits_for_a_host_that_does_not_answer_is_not_tried(server, gate, monkeypatch) -> None:
    fetcher = made(server, fetch_connections=2, fetch_timeout=0.3)
    begun: list[tuple[Any, ...]] = []
    # All wait before the first begins, or one may have waited too short when that one times out.
    with monkeypatch.context() as held:
        held.setattr(fetcher._threads, "submit", lambda *run: begun.append(run))
        futures = [fetcher.fetch("https://slow.cdn.example/slow") for _ in range(6)]
    (first,) = begun
    fetcher._threads.submit(*first)
    assert [cause(future) for future in futures] == ["timeout"] * 6
    assert len(server.requests) == 1
    gate.open.set()
    assert fetcher.fetch("https://slow.cdn.example/slow").result(60) == IMAGE
    fetcher.close()


def test_a_long_queue_makes_nothing_unreachable(server, gate) -> None:
    def brief(connection: ssl.SSLSocket, of: TlsServer) -> None:
        of.stopped.wait(0.1)
        answer(IMAGE)(connection, of)

    server.paths["/brief"] = brief
    fetcher = made(server, fetch_connections=1, fetch_timeout=1.0)
    futures = [fetcher.fetch("https://images.example/brief") for _ in range(14)]
    assert all(future.result(60) == IMAGE for future in futures)
    fetcher.close()


def test_a_cancelled_image_is_not_fetched(server, gate) -> None:
    fetcher = made(server, fetch_connections=1)
    first = fetcher.fetch("https://images.example/slow")
    second = fetcher.fetch("https://images.example/image.jpg")
    assert gate.arrived.acquire(timeout=30)
    assert second.cancel()
    assert first.running()
    gate.open.set()
    assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE
    assert len(server.requests) == 2
    fetcher.close()


def test_closing_cancels_what_waits_and_ends_what_is_under_way(server, gate) -> None:
    fetcher = made(server, fetch_connections=2)
    futures = [fetcher.fetch("https://images.example/slow") for _ in range(5)]
    assert gate.arrived.acquire(timeout=30)
    gate.open.set()
    fetcher.close()
    assert futures[0].result(0) == IMAGE
    for future in futures:
        assert future.done()
    with pytest.raises(CancelledError):
        fetcher.fetch("https://images.example/image.jpg").result(0)
    fetcher.close()


def test_closing_does_not_wait_for_files_that_hang(server, gate, tmp_path, monkeypatch) -> None:
    go_on = threading.Event()

    def hanging(*_: object) -> int:
        go_on.wait(60)
        raise FileNotFoundError

    monkeypatch.setattr(FileSource, "_opened", hanging)
    fetcher = made(server, allowed_root=tmp_path, fetch_timeout=0.1)
    future = fetcher.fetch(f"file://{tmp_path}/image.jpg")
    began = threading.Thread(target=fetcher.close)
    began.start()
    began.join(30)
    assert not began.is_alive()
    assert cause(future) == "timeout"
    go_on.set()


def test_a_queue_of_ours_is_blamed_on_no_host(server, gate) -> None:
    full = threading.Event()
    full.set()

    def resolve(host: str, port: int, timeout: float) -> Sequence[Address]:
        if full.is_set():
            raise Unreachable("busy")
        return server.resolve(host, port, timeout)

    fetcher = made(server, resolver=resolve, host_timeouts=1, host_pause=1000.0)
    for _ in range(3):
        assert cause(fetcher.fetch("https://images.example/image.jpg")) == "busy"
    full.clear()
    # It was never taken for slow or down.
    assert not fetcher._slow
    assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE
    fetcher.close()


def test_an_error_that_is_not_foreseen_ends_one_image_alone(server, gate, caplog) -> None:
    def fail(host: str, port: int, timeout: float) -> Sequence[Address]:
        raise KeyError("https://images.example/?token=sesame")

    fetcher = made(server, resolver=fail, fetch_connections=1)
    for _ in range(3):
        assert cause(fetcher.fetch("https://images.example/image.jpg")) == "refused"
    assert "KeyError" in caplog.text
    assert "sesame" not in caplog.text
    fetcher.close()


@pytest.mark.parametrize("name", sorted(CAUSES))
def test_errors_say_what_is_wrong_and_cross_process_borders(name) -> None:
    import pickle

    again = pickle.loads(pickle.dumps(Unreachable(name)))
    assert again.cause == name
    assert CAUSES[name] in str(again)
    assert "\n" not in str(again)
