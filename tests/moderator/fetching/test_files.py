"""Images from files: those under the allowed folder, however a path is written."""

import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from moderator.fetching.files import FileSource
from moderator.fetching.unreachable import Unreachable

IMAGE = bytes(range(256)) * 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "image.jpg").write_bytes(IMAGE)
    (root / "deep" / "er" / "näme with space.jpg").write_bytes(IMAGE)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "image.jpg").write_bytes(b"secret")
    return root


def url(path: Path | str) -> str:
    return "file://" + quote(str(path))


def cause(root: Path | None, given: str, max_bytes: int = 10_000) -> str:
    with pytest.raises(Unreachable) as caught:
        FileSource(root, max_bytes, 4).get(given, 30)
    return caught.value.cause


def test_files_under_the_root_are_read(root) -> None:
    source = FileSource(root, 10_000, 4)
    assert source.get(url(root / "image.jpg"), 30) == IMAGE
    assert source.get(f"file://localhost{root}/image.jpg", 30) == IMAGE
    assert source.get(f"file:{root}/image.jpg", 30) == IMAGE
    assert source.get(url(root / "deep" / "er" / "näme with space.jpg"), 30) == IMAGE
    assert source.get(url(root / "deep" / ".." / "image.jpg"), 30) == IMAGE


def test_links_within_the_root_are_followed(root) -> None:
    (root / "link.jpg").symlink_to(root / "image.jpg")
    (root / "folder").symlink_to(root / "deep" / "er")
    source = FileSource(root, 10_000, 4)
    assert source.get(url(root / "link.jpg"), 30) == IMAGE
    assert source.get(url(root / "folder" / "näme with space.jpg"), 30) == IMAGE


def test_the_root_itself_may_be_a_link(root, tmp_path) -> None:
    (tmp_path / "alias").symlink_to(root)
    source = FileSource(tmp_path / "alias", 10_000, 4)
    assert source.get(url(tmp_path / "alias" / "image.jpg"), 30) == IMAGE
    assert source.get(url(root / "image.jpg"), 30) == IMAGE


def test_what_lies_outside_is_not_allowed(root, tmp_path) -> None:
    (root / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "up").symlink_to(tmp_path)
    for path in (
        tmp_path / "secret.jpg",
        tmp_path / "absent.jpg",
        tmp_path / "rooted" / "image.jpg",
        root / "out.jpg",
        root / "up" / "secret.jpg",
        f"{root}/../secret.jpg",
        f"{root}/deep/../../secret.jpg",
        f"{root}/up/../secret.jpg",
        "/etc/passwd",
        "/proc/self/environ",
        root,
        "/",
    ):
        assert cause(root, url(path)) == "not-allowed", path
    assert cause(root, f"file://{root}/%2e%2e/secret.jpg") == "not-allowed"


@pytest.mark.parametrize(
    "given",
    [
        "file:image.jpg",
        "file://host/image.jpg",
        "file:///a\0b",
        "file:///%00",
        "file:///x?y",
        "file:",
    ],
)
def test_odd_urls_are_not_allowed(root, given) -> None:
    assert cause(root, given) == "not-allowed"


def test_without_a_root_nothing_is_allowed(root) -> None:
    assert cause(None, url(root / "image.jpg")) == "not-allowed"


def test_what_is_absent_is_not_found(root) -> None:
    assert cause(root, url(root / "absent.jpg")) == "not-found"
    assert cause(root, url(root / "image.jpg" / "below")) == "not-found"
    assert cause(root, url(root / ("x" * 300))) == "not-found"


def test_only_regular_files_are_read(root) -> None:
    os.mkfifo(root / "pipe")
    assert cause(root, url(root / "deep")) == "not-allowed"
    assert cause(root, url(root / "pipe")) == "not-allowed"


def test_the_cap_on_bytes_is_exact(root) -> None:
    assert FileSource(root, len(IMAGE), 4).get(url(root / "image.jpg"), 30) == IMAGE
    assert cause(root, url(root / "image.jpg"), len(IMAGE) - 1) == "too-large"


@pytest.mark.parametrize("swapped", ["deep", "deep/er", "deep/er/image.jpg"])
def test_a_link_put_there_after_the_check_is_not_followed(
    root, tmp_path, monkeypatch, swapped
) -> None:
    (root / "deep" / "er" / "image.jpg").write_bytes(IMAGE)
    outside = tmp_path / "outside"
    (outside / "er").mkdir(parents=True)
    for path in (outside / "image.jpg", outside / "er" / "image.jpg"):
        path.write_bytes(b"secret")
    resolve = Path.resolve

    def resolve_then_swap(path: Path, strict: bool = False) -> Path:
        resolved = resolve(path, strict)
        victim = root / swapped
        if path.name == "image.jpg" and not victim.is_symlink():
            victim.rename(tmp_path / "moved")
            victim.symlink_to(outside / "image.jpg" if victim.suffix else outside)
        return resolved

    monkeypatch.setattr(Path, "resolve", resolve_then_swap)
    assert cause(root, url(root / "deep" / "er" / "image.jpg")) in {"not-allowed", "not-found"}


def test_a_disk_that_hangs_is_not_waited_for(root, monkeypatch) -> None:
    go_on = threading.Event()
    opened = FileSource._opened

    def hanging(*given: Any) -> int:
        go_on.wait(60)
        return opened(*given)

    monkeypatch.setattr(FileSource, "_opened", hanging)
    source = FileSource(root, 10_000, 1)
    for _ in range(2):
        with pytest.raises(Unreachable) as caught:
            source.get(url(root / "image.jpg"), 0.05)
        assert caught.value.cause == "timeout"
    go_on.set()
    assert source.get(url(root / "image.jpg"), 30) == IMAGE
