"""Names to public addresses: what is public, and that one bad address refuses a name."""

import socket
import threading
from concurrent.futures import Future

import pytest

from moderator.fetching import addresses, calls
from moderator.fetching.addresses import PublicResolver, is_public
from moderator.fetching.calls import within
from moderator.fetching.unreachable import Unreachable


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "8.8.8.8",
        "1.1.1.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.255.255",
        "223.255.255.254",
        "100.63.255.255",
        "100.128.0.1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80b::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_public_addresses(address) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "169.254.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "::ffff:0:192.168.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "2002:c0a8:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "2606:4700:4700::5efe:10.0.0.1",
        "2606:4700:4700::200:5efe:10.0.0.1",
        "64:ff9b::100.64.0.1",
        "2002:6440:1::1",
        "::ffff:224.0.0.1",
        "::ffff:0.0.0.0",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "",
        "localhost",
        "0x7f000001",
        "127.1",
        "8.8.8.8/32",
    ],
)
def test_addresses_that_are_not_public(address) -> None:
    assert not is_public(address)


def found(*addresses: str) -> PublicResolver:
    def lookup(host: str, port: int, **_: object) -> list[tuple]:
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    return PublicResolver(lookup)


def cause(resolver: PublicResolver, timeout: float = 10.0) -> str:
    with pytest.raises(Unreachable) as caught:
        resolver("images.example", 443, timeout)
    return caught.value.cause


def test_addresses_come_in_their_order_and_once() -> None:
    resolve = found("8.8.8.8", "2606:4700:4700::1111", "8.8.8.8", "1.1.1.1")
    expected = [("8.8.8.8", 443), ("2606:4700:4700::1111", 443), ("1.1.1.1", 443)]
    assert resolve("images.example", 443, 10.0) == expected


@pytest.mark.parametrize("bad", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1"])
def test_one_bad_address_refuses_the_name(bad) -> None:
    assert cause(found(bad)) == "address"
    assert cause(found("8.8.8.8", bad)) == "address"
    assert cause(found(bad, "8.8.8.8")) == "address"


def test_a_name_of_this_machine_is_refused_by_the_real_resolver() -> None:
    resolver = PublicResolver()
    with pytest.raises(Unreachable) as caught:
        resolver("localhost", 443, 30.0)
    assert caught.value.cause == "address"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "not-found"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "refused"),
        (UnicodeError("label too long"), "not-found"),
    ],
)
def test_names_that_cannot_be_looked_up(error, expected) -> None:
    def lookup(*_: object, **__: object) -> list[tuple]:
        raise error

    assert cause(PublicResolver(lookup)) == expected
    assert cause(found()) == "not-found"


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    go_on = threading.Event()

    def lookup(*_: object, **__: object) -> list[tuple]:
        go_on.wait(60)
        return []

    assert cause(PublicResolver(lookup), timeout=0.05) == "timeout"
    go_on.set()


def test_names_whose_look_up_hangs_take_one_turn_each_and_are_not_others_fault(monkeypatch) -> None:
    monkeypatch.setattr(addresses, "MAX_WAITING", 2)
    go_on = threading.Event()
    asked: list[str] = []

    def lookup(host: str, *_: object, **__: object) -> list[tuple]:
        asked.append(host)
        if host.startswith("hangs"):
            go_on.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    resolver = PublicResolver(lookup)

    def said(host: str) -> str:
        with pytest.raises(Unreachable) as caught:
            resolver(host, 443, 0.05)
        return caught.value.cause

    assert [said("hangs-a") for _ in range(5)] == ["timeout"] * 5
    assert resolver("well", 443, 30) == [("8.8.8.8", 443)]
    assert said("hangs-b") == "timeout"
    assert said("well") == "busy"
    assert asked == ["hangs-a", "well", "hangs-b"]
    go_on.set()
    assert resolver("well", 443, 30) == [("8.8.8.8", 443)]
    assert resolver("hangs-a", 443, 30) == [("8.8.8.8", 443)]


def test_calls_that_hang_are_bounded() -> None:
    turns, go_on = threading.BoundedSemaphore(2), threading.Event()
    causes = []
    for _ in range(4):
        with pytest.raises(Unreachable) as caught:
            within(0.02, turns, lambda: go_on.wait(60))
        causes.append(caught.value.cause)
    # What waits for a turn in vain is not the fault of what it would have called.
    assert causes == ["timeout", "timeout", "busy", "busy"]
    go_on.set()
    assert within(30, turns, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(30, turns, lambda: 1 // 0)


def test_waiting_for_a_turn_and_the_call_have_one_time_together(monkeypatch) -> None:
    now, waited = [100.0], []

    class Turns(threading.BoundedSemaphore):
        def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
            now[0] += 7.0
            return super().acquire(blocking, timeout)

    class Waiting(Future):
        def result(self, timeout: float | None = None) -> object:
            waited.append(timeout)
            return super().result(60)

    monkeypatch.setattr(calls.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(calls, "Future", Waiting)
    assert within(10.0, Turns(1), lambda: "found") == "found"
    assert within(5.0, Turns(1), lambda: "found") == "found"
    assert waited == [3.0, 0.0]
