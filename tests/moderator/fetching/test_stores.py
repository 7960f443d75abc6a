"""Images from object stores, against fsspec's store in memory."""

import builtins
import threading
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest

from moderator.errors import BadSettings
from moderator.fetching.stores import StoreSource
from moderator.fetching.unreachable import Unreachable

IMAGE = bytes(range(256)) * 4
PREFIX = "memory://bucket/images"


@pytest.fixture(autouse=True)
def store() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    for path in ("/bucket/images/a.jpg", "/bucket/secret.jpg", "/bucket/images-of-others/a.jpg"):
        store.pipe_file(path, IMAGE)
    yield store
    store.rm("/bucket", recursive=True)


def source(prefix: str = PREFIX, max_bytes: int = 10_000) -> StoreSource:
    return StoreSource((prefix,), max_bytes, 4)


def cause(stores: StoreSource, url: str, seconds: float = 30.0) -> str:
    with pytest.raises(Unreachable) as caught:
        stores.get(url, seconds)
    return caught.value.cause


@pytest.mark.parametrize("prefix", [PREFIX, PREFIX + "/", "memory://bucket/"])
def test_images_under_a_prefix_are_read(prefix) -> None:
    assert source(prefix).get("memory://bucket/images/a.jpg", 30) == IMAGE


@pytest.mark.parametrize(
    "url",
    [
        "memory://bucket/secret.jpg",
        "memory://bucket/images",
        "memory://bucket/images/",
        "memory://bucket/images-of-others/a.jpg",
        "memory://bucket/images/../secret.jpg",
        "memory://bucket/images/%2e%2e/secret.jpg",
        "memory://bucket/images/./a.jpg",
        "memory://bucket/images/a.jpg::file:///etc/passwd",
        "simplecache::memory://bucket/images/a.jpg",
        "memory://bucket/images/a\n.jpg",
        "memory://bucket/images\\a.jpg",
        "file:///etc/passwd",
        "s3://bucket/images/a.jpg",
        "MEMORY://bucket/images/a.jpg",
        "",
    ],
)
def test_anything_else_is_not_allowed(url) -> None:
    stores = source()
    assert not stores.allows(url)
    assert cause(stores, url) == "not-allowed"


@pytest.mark.parametrize(
    "prefix",
    [
        "http://images.example/",
        "https://images.example/",
        "HTTPS://images.example/",
        "file:///var/images/",
        "local:///var/images",
        "git://images/",
        "s3://",
        "s3:///",
        "bucket/images",
        "://bucket/",
        "simplecache::s3://bucket/",
        "",
    ],
)
def test_a_prefix_that_is_no_place_in_a_store_is_one_line(prefix) -> None:
    with pytest.raises(BadSettings, match="allowed_stores") as caught:
        StoreSource((PREFIX, prefix), 100, 4)
    assert "\n" not in str(caught.value)


def test_what_is_absent_is_not_found() -> None:
    assert cause(source(), PREFIX + "/absent.jpg") == "not-found"


def test_the_cap_on_bytes_is_exact() -> None:
    assert source(max_bytes=len(IMAGE)).get(PREFIX + "/a.jpg", 30) == IMAGE
    assert cause(source(max_bytes=len(IMAGE) - 1), PREFIX + "/a.jpg") == "too-large"


def test_a_store_that_fails_or_hangs_is_a_cause_of_its_own(store, monkeypatch) -> None:
    go_on = threading.Event()

    def fail(*_: object, **__: object) -> bytes:
        raise RuntimeError("an error of the store's own")

    monkeypatch.setattr(type(store), "cat_file", fail)
    assert cause(source(), PREFIX + "/a.jpg") == "store"
    monkeypatch.setattr(type(store), "cat_file", lambda *_, **__: go_on.wait(60))
    assert cause(source(), PREFIX + "/a.jpg", seconds=0.05) == "timeout"
    go_on.set()


def test_a_bucket_that_hangs_takes_no_other_buckets_turns(store, monkeypatch) -> None:
    store.pipe_file("/other/a.jpg", IMAGE)
    go_on = threading.Event()
    read = type(store).cat_file

    def hanging(self: Any, path: str, **given: Any) -> bytes:
        if "bucket" in path:
            go_on.wait(60)
        return read(self, path, **given)

    monkeypatch.setattr(type(store), "cat_file", hanging)
    stores = StoreSource((PREFIX, "memory://other/"), 10_000, 2)
    for _ in range(4):
        assert cause(stores, PREFIX + "/a.jpg", seconds=0.02) == "timeout"
    assert stores.get("memory://other/a.jpg", 30) == IMAGE
    go_on.set()
    assert stores.get(PREFIX + "/a.jpg", 30) == IMAGE


@pytest.mark.parametrize("prefix", ["nothing-like-it://bucket/", "s3://bucket/"])
def test_a_store_without_its_package_is_one_line(prefix, caplog, monkeypatch) -> None:
    def missing(scheme: str) -> None:
        raise ImportError(f"install what {scheme} needs")

    if prefix.startswith("s3"):
        monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    stores = source(prefix)
    assert len(caplog.records) == 1
    assert f"images of {prefix.split('bucket')[0]} are unreachable" in caplog.text
    assert cause(stores, prefix + "a.jpg") == "store"


def test_without_fsspec_only_stores_are_unreachable(caplog, monkeypatch) -> None:
    original = builtins.__import__

    def without(name: str, *given: Any, **named: Any) -> Any:
        if name == "fsspec":
            raise ImportError("No module named 'fsspec'")
        return original(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert cause(source(), PREFIX + "/a.jpg") == "store"
    assert len(caplog.records) == 1
    caplog.clear()
    StoreSource((), 100, 4)
    assert caplog.records == []
