"""Images over https: from allowed hosts alone, within time and size, whatever the host does."""

import functools
import gzip
import logging
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from moderator.concerns.fetch import Fetch
from moderator.errors import BadSettings
from moderator.fetching.addresses import Address
from moderator.fetching.fetch import Fetcher, Unreachable
from moderator.fetching.https import HttpsSource
from tests.moderator.tls_server import TlsServer, answer, certificate, redirect

IMAGE = b"\xff\xd8\xff" + bytes(range(256)) * 8
MAX_BYTES = 100_000
HOSTS = ("images.example", "*.cdn.example", "unproven.example")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    server = TlsServer(*certificate(tmp_path_factory.mktemp("tls")))
    yield server
    server.close()


@pytest.fixture
def fetcher(server: TlsServer) -> Iterator[Fetcher]:
    server.requests.clear()
    server.paths = {"/image.jpg": answer(IMAGE)}
    with_fetcher = made(server)
    yield with_fetcher
    with_fetcher.close()


def made(server: TlsServer, *, resolver: Any = None, context: Any = None, **given: Any) -> Fetcher:
    fetch = Fetch(**{"allowed_hosts": HOSTS, "fetch_timeout": 10.0, **given})
    context = context or ssl.create_default_context(cafile=str(server.cert))
    return Fetcher(fetch, MAX_BYTES, resolver=resolver or server.resolve, context=context)


def cause(fetcher: Fetcher, url: str = "https://images.example/image.jpg") -> str:
    with pytest.raises(Unreachable) as caught:
        fetcher.fetch(url).result(60)
    assert "example" not in str(caught.value)
    return caught.value.cause


def quick_cause(server: TlsServer, behaviour: Any) -> str:
    """What becomes of an image whose host behaves so, where little time is given."""
    server.paths = {"/image.jpg": behaviour}
    fetcher = made(server, fetch_timeout=0.4)
    try:
        return cause(fetcher)
    finally:
        fetcher.close()


# --- which addresses are allowed


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example/image.jpg",
        "https://IMAGES.Example/image.jpg",
        "HTTPS://images.example/image.jpg",
        "https://images.example./image.jpg",
        "https://images.example:443/image.jpg",
        "https://images.example/image.jpg#part",
        "https://a.cdn.example/image.jpg",
        "https://A.CDN.EXAMPLE./image.jpg",
        "https://ｉｍａｇｅｓ.example/image.jpg",
        "https://images.example:0443/image.jpg",
        "https://images.example:/image.jpg",
        "https://images.example/image.jpg?width=100&name=a b",
    ],
)
def test_an_image_of_an_allowed_host_is_fetched(fetcher, url) -> None:
    assert fetcher.fetch(url).result(60) == IMAGE


@pytest.mark.parametrize(
    "url",
    [
        "http://images.example/image.jpg",
        "https://other.example/image.jpg",
        "https://cdn.example/image.jpg",
        "https://images.example.other.org/image.jpg",
        "https://notimages.example/image.jpg",
        "https://xcdn.example/image.jpg",
        "https://images.example:8443/image.jpg",
        "https://images.example:22/image.jpg",
        "https://images.example:port/image.jpg",
        "https://user:secret@images.example/image.jpg",
        "https://images.example@other.example/image.jpg",
        "https://other.example\\@images.example/image.jpg",
        "https://other.example#@images.example/image.jpg",
        "https://127.0.0.1/image.jpg",
        "https://[::1]/image.jpg",
        "https://[images.example/image.jpg",
        "https://2130706433/image.jpg",
        "https://0x7f000001/image.jpg",
        "https://0x7f.0.0.1/image.jpg",
        "https://017700000001/image.jpg",
        "https://0177.0.0.1/image.jpg",
        "https://127.1/image.jpg",
        "https://[::ffff:127.0.0.1]/image.jpg",
        "https://[::ffff:7f00:1]/image.jpg",
        "https://[fe80::1%25eth0]/image.jpg",
        "https://１２７.０.０.１/image.jpg",
        "https://images.example../image.jpg",
        "https://.images.example/image.jpg",
        "https://images.example:0/image.jpg",
        "https://images.example:-443/image.jpg",
        "https://images.example:99999/image.jpg",
        "https://images%2eexample/image.jpg",
        "https://images.example%00/image.jpg",
        "https://images.example%23.cdn.example/image.jpg",
        "https://10.0.0.1%2f.cdn.example/image.jpg",
        "https://a b.cdn.example/image.jpg",
        "https://a..cdn.example/image.jpg",
        "https://..cdn.example/image.jpg",
        "https://.cdn.example/image.jpg",
        "https://a*b.cdn.example/image.jpg",
        "https://a\\b.cdn.example/image.jpg",
        "https://" + "a" * 64 + ".cdn.example/image.jpg",
        "https://" + "a." * 125 + "cdn.example/image.jpg",
        "https://ｉｍａｇｅｓ.example.org/image.jpg",
        "https://imаges.example/image.jpg",
        "https://xn--imges-vdf.example/image.jpg",
        "https:///image.jpg",
        "https://",
        "https:images.example/image.jpg",
        "//images.example/image.jpg",
        "images.example/image.jpg",
        "",
        "ftp://images.example/image.jpg",
        "data:image/png;base64,AAAA",
        "gopher://images.example/",
        "file:///etc/passwd",
        "s3://bucket/image.jpg",
        "https://" + "é" * 300 + ".example/",
    ],
)
def test_any_other_is_refused_without_a_connection(server, fetcher, url) -> None:
    assert cause(fetcher, url) == "not-allowed"
    assert server.requests == []


@pytest.mark.parametrize("host", ["*.", "*", "*..", "", ".", "*.*", "*.*.example", "images.*"])
def test_a_pattern_that_is_no_name_lets_nothing_in_but_is_one_line(server, host) -> None:
    with pytest.raises(BadSettings, match="names no host") as caught:
        HttpsSource((host,), MAX_BYTES, server.resolve, ssl.create_default_context())
    assert "\n" not in str(caught.value)


def test_without_settings_nothing_is_allowed(server) -> None:
    fetcher = made(server, allowed_hosts=())
    assert cause(fetcher) == "not-allowed"
    fetcher.close()


def test_the_request_names_the_host_and_asks_for_the_plain_image(server, fetcher) -> None:
    fetcher.fetch("https://images.example/image.jpg?a=%20b&c=d e\r\nX: y").result(60)
    (head,) = server.requests
    first, *lines = head.rstrip().split("\r\n")
    headers = {line.split(": ")[0]: line.split(": ")[1] for line in lines}
    assert first == "GET /image.jpg?a=%20b&c=d%20eX:%20y HTTP/1.1"
    assert headers["Host"] == "images.example"
    assert headers["Accept-Encoding"] == "identity"
    assert not {"Cookie", "Authorization", "Referer", "X"} & set(headers)


# --- redirects


@pytest.mark.parametrize(
    "location",
    [
        "/image.jpg",
        "image.jpg",
        "https://images.example/image.jpg",
        "https://b.cdn.example/image.jpg",
        "//b.cdn.example/image.jpg",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_allowed_hosts_is_followed(server, fetcher, location, status) -> None:
    server.paths["/from"] = redirect(location, f"{status} Moved")
    assert fetcher.fetch("https://images.example/from").result(60) == IMAGE


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://other.example/image.jpg", "not-allowed"),
        ("http://images.example/image.jpg", "not-allowed"),
        ("https://127.0.0.1/image.jpg", "not-allowed"),
        ("https://2130706433/image.jpg", "not-allowed"),
        ("//0x7f.1/image.jpg", "not-allowed"),
        ("https://[::ffff:169.254.169.254]/latest/meta-data/", "not-allowed"),
        ("https://169.254.169.254/latest/meta-data/", "not-allowed"),
        ("gopher://images.example/", "not-allowed"),
        ("https://images.example:8080/image.jpg", "not-allowed"),
        ("https://user@images.example/image.jpg", "not-allowed"),
        ("file:///etc/passwd", "not-allowed"),
        ("https://[bad", "not-allowed"),
        ("https://private.cdn.example/image.jpg", "address"),
        ("/gone", "not-found"),
    ],
)
def test_a_redirect_elsewhere_is_checked_anew(server, fetcher, location, expected) -> None:
    server.paths["/from"] = redirect(location)
    assert cause(fetcher, "https://images.example/from") == expected


def test_redirects_are_followed_a_few_times_only(server, fetcher) -> None:
    for number in range(5):
        server.paths[f"/{number}"] = redirect(f"/{number - 1}" if number else "/image.jpg")
    assert fetcher.fetch("https://images.example/2").result(60) == IMAGE
    assert cause(fetcher, "https://images.example/3") == "status"
    server.paths["/loop"] = redirect("/loop")
    assert cause(fetcher, "https://images.example/loop") == "status"


def test_each_hop_is_resolved_once_and_connected_where_that_led(server) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int, timeout: float) -> Sequence[Address]:
        asked.append((host, port))
        return server.resolve(host, port, timeout)

    server.paths = {
        "/from": redirect("https://a.cdn.example/image.jpg"),
        "/image.jpg": answer(IMAGE),
    }
    fetcher = made(server, resolver=resolve)
    assert fetcher.fetch("https://images.example/from").result(60) == IMAGE
    assert asked == [("images.example", 443), ("a.cdn.example", 443)]
    fetcher.close()


# --- answers


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("404 Not Found", "not-found"),
        ("410 Gone", "not-found"),
        ("403 Forbidden", "status"),
        ("500 Oops", "status"),
        ("204 No Content", "status"),
        ("206 Partial Content", "status"),
        ("302 Found", "status"),
        ("304 Not Modified", "status"),
    ],
)
def test_any_answer_but_a_plain_one_is_none(server, fetcher, status, expected) -> None:
    server.paths["/image.jpg"] = answer(b"text", status=status)
    assert cause(fetcher) == expected


@functools.cache
def bomb() -> bytes:
    """Fifty megabytes of zeros, compressed twice, in less than a kilobyte."""
    return gzip.compress(gzip.compress(bytes(50_000_000), 1))


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "x-gzip"},
        {"Content_Encoding": "deflate"},
        {"Content_Encoding": "br"},
        {"Content_Encoding": "zstd"},
        {"Content_Encoding": "gzip, gzip"},
        {"Content_Encoding": "identity, gzip"},
        {"Content_Encoding": "GZip"},
        {"Transfer_Encoding": "gzip"},
        {"Transfer_Encoding": "gzip, chunked"},
        {"Transfer_Encoding": "deflate"},
    ],
)
def test_a_body_that_is_compressed_is_refused_and_never_inflated(server, fetcher, headers) -> None:
    server.paths["/image.jpg"] = answer(bomb(), **headers)
    assert len(bomb()) < MAX_BYTES
    tracemalloc.start()
    try:
        assert cause(fetcher) == "status"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_encoding_that_is_none_is_none(server, fetcher) -> None:
    server.paths["/image.jpg"] = answer(IMAGE, Content_Encoding="Identity")
    assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE


def test_a_body_may_end_with_its_length_its_last_chunk_or_the_connection(server, fetcher) -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(IMAGE), IMAGE)
    for behaviour in (
        answer(IMAGE + b"what is beyond the length", length=len(IMAGE)),
        answer(chunked, length=None, Transfer_Encoding="chunked"),
        answer(IMAGE, length=None),
    ):
        server.paths["/image.jpg"] = behaviour
        assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE


# --- size


def endless(connection: ssl.SSLSocket, server: TlsServer) -> None:
    while not server.stopped.is_set():
        connection.sendall(bytes(2**16))


def endless_chunks(connection: ssl.SSLSocket, server: TlsServer) -> None:
    while not server.stopped.is_set():
        connection.sendall(b"ffff\r\n" + bytes(0xFFFF) + b"\r\n")


def both(first: Any, then: Any) -> Any:
    def behave(connection: ssl.SSLSocket, server: TlsServer) -> None:
        first(connection, server)
        then(connection, server)

    return behave


def test_the_cap_on_bytes_is_exact(server, fetcher) -> None:
    for length in (MAX_BYTES, None):
        claimed = {} if length else {"length": None}
        server.paths["/image.jpg"] = answer(bytes(MAX_BYTES), **claimed)
        fetched = fetcher.fetch("https://images.example/image.jpg").result(60)
        assert len(fetched) == MAX_BYTES
        server.paths["/image.jpg"] = answer(bytes(MAX_BYTES + 1), **claimed)
        assert cause(fetcher) == "too-large"


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(b"", length=10**12),
        both(answer(length=None), endless),
        both(answer(length=None, Transfer_Encoding="chunked"), endless_chunks),
        both(answer(length=-5), endless),
    ],
    ids=["announced", "no-length", "chunked", "negative"],
)
def test_what_never_ends_is_too_large(server, fetcher, behaviour) -> None:
    server.paths["/image.jpg"] = behaviour
    assert cause(fetcher) == "too-large"


# --- time


def silent(connection: ssl.SSLSocket, server: TlsServer) -> None:
    server.stopped.wait(30)


def drip(connection: ssl.SSLSocket, server: TlsServer) -> None:
    while not server.stopped.wait(0.02):
        connection.sendall(b"x")


def drip_continue(connection: ssl.SSLSocket, server: TlsServer) -> None:
    while not server.stopped.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def drip_chunks(connection: ssl.SSLSocket, server: TlsServer) -> None:
    while not server.stopped.wait(0.02):
        connection.sendall(b"1\r\nx\r\n")


def endless_trailers(connection: ssl.SSLSocket, server: TlsServer) -> None:
    while not server.stopped.wait(0.001):
        connection.sendall(b"X: y\r\n" * 100)


@pytest.mark.parametrize(
    "behaviour",
    [
        silent,
        drip,
        drip_continue,
        both(answer(length=5_000), silent),
        both(answer(length=5_000), drip),
        both(answer(length=None), drip),
        both(answer(b"1\r\nx\r\n", length=None, Transfer_Encoding="chunked"), drip_chunks),
        both(answer(b"0\r\n", length=None, Transfer_Encoding="chunked"), endless_trailers),
    ],
    ids=[
        "silent",
        "drips-head",
        "drips-continue",
        "no-body",
        "drips-body",
        "drips-without-length",
        "drips-chunks",
        "endless-trailers",
    ],
)
def test_a_host_that_takes_its_time_is_not_waited_for(server, behaviour) -> None:
    assert quick_cause(server, behaviour) == "timeout"


def test_a_chain_of_redirects_has_one_time_together(server) -> None:
    def late_redirect(connection: ssl.SSLSocket, server: TlsServer) -> None:
        server.stopped.wait(0.25)
        redirect("/image.jpg")(connection, server)

    assert quick_cause(server, late_redirect) == "timeout"


def test_a_handshake_that_never_comes_is_not_waited_for(server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = mute.getsockname()
        fetcher = made(server, resolver=lambda *_: [address], fetch_timeout=0.3)
        assert cause(fetcher) == "timeout"
        fetcher.close()


# --- connections that fail


def hang_up(connection: ssl.SSLSocket, server: TlsServer) -> None:
    connection.unwrap()


def cut(connection: ssl.SSLSocket, server: TlsServer) -> None:
    """End the connection without ending TLS first, as somebody in between could."""
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def garbage(connection: ssl.SSLSocket, server: TlsServer) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@pytest.mark.parametrize(
    "behaviour",
    [
        hang_up,
        cut,
        garbage,
        answer(IMAGE, length=len(IMAGE) + 1),
        answer(b"ff\r\nshort", length=None, Transfer_Encoding="chunked"),
        answer(b"-5\r\nshort", length=None, Transfer_Encoding="chunked"),
        answer(b"no\r\nfigure", length=None, Transfer_Encoding="chunked"),
        answer(b"f" * 70_000 + b"\r\n", length=None, Transfer_Encoding="chunked"),
        answer(IMAGE, **{f"X-{n}": "y" for n in range(200)}),
        answer(IMAGE, X="y" * 70_000),
        both(answer(IMAGE, length=None), cut),
    ],
    ids=[
        "hangs-up",
        "cut",
        "garbage",
        "too-short",
        "chunk-too-short",
        "negative",
        "no-figure",
        "long-figure",
        "many-headers",
        "long-header",
        "cut-without-length",
    ],
)
def test_what_breaks_off_is_no_image(server, fetcher, behaviour) -> None:
    server.paths["/image.jpg"] = behaviour
    assert cause(fetcher) == "refused"


def test_the_next_address_is_tried(server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    server.paths = {"/image.jpg": answer(IMAGE)}
    fetcher = made(server, resolver=lambda *_: [dead, ("127.0.0.1", server.port)])
    assert fetcher.fetch("https://images.example/image.jpg").result(60) == IMAGE
    fetcher.close()
    fetcher = made(server, resolver=lambda *_: [dead])
    assert cause(fetcher) == "refused"
    fetcher.close()


def test_a_host_must_prove_its_name(server, fetcher) -> None:
    assert cause(fetcher, "https://unproven.example/image.jpg") == "tls"
    stranger = made(server, context=ssl.create_default_context())
    assert cause(stranger) == "tls"
    assert server.requests == []
    stranger.close()


def test_a_host_without_tls_is_refused(server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def serve() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        fetcher = made(server, resolver=lambda *_: [plain.getsockname()])
        assert cause(fetcher) == "tls"
        fetcher.close()
        thread.join()


def test_no_url_is_ever_logged(server, fetcher, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    server.paths["/image.jpg"] = garbage
    cause(fetcher, "https://images.example/image.jpg?token=open-sesame")
    cause(fetcher, "https://user:open-sesame@images.example/image.jpg")
    assert "sesame" not in caplog.text
