"""Photographs are decoded once, whole, and shared by runs."""

import hashlib
import shutil
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

from tests.training.stages.samples import damaged
from training.errors import BadInput
from training.folder import Photo
from training.stages.pixelstore import decode, open_store


def photo_of(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Photo(path, path.parent.name, True, digest, digest)


@pytest.fixture
def pictures(tmp_path):
    """Three photographs: wide, tall by its EXIF turn, and small."""
    lot = np.random.default_rng(0)
    noise = Image.fromarray(lot.integers(0, 256, (60, 300, 3), np.uint8))
    noise.save(tmp_path / "wide.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    noise.save(tmp_path / "tall.jpg", exif=turned)
    noise.crop((0, 0, 50, 40)).save(tmp_path / "small.png")
    return [photo_of(tmp_path / name) for name in ("wide.png", "tall.jpg", "small.png")]


def test_photographs_are_upright_and_no_longer_than_asked(pictures, tmp_path, console):
    store = open_store(pictures, 100, tmp_path / "cache", console)
    shapes = [store.get(photo.digest).shape for photo in pictures]
    assert shapes == [(32, 100, 3), (100, 32, 3), (40, 50, 3)]
    for photo in pictures:
        assert np.array_equal(store.get(photo.digest), decode(photo.path, 100))
    small = np.asarray(Image.open(pictures[2].path))
    assert np.array_equal(store.get(pictures[2].digest), small)


def test_what_was_decoded_is_not_decoded_again(pictures, tmp_path, console):
    first = open_store(pictures[:2], 100, tmp_path / "cache", console)
    kept = [first.get(photo.digest).copy() for photo in pictures[:2]]
    for photo in pictures[:2]:
        photo.path.unlink()
    second = open_store(pictures, 100, tmp_path / "cache", console)
    assert all(
        np.array_equal(second.get(photo.digest), pixels)
        for photo, pixels in zip(pictures[:2], kept, strict=True)
    )
    assert second.get(pictures[2].digest).shape == (40, 50, 3)
    assert not second.unreadable


def test_a_damaged_pack_is_made_again(pictures, tmp_path, console):
    open_store(pictures, 100, tmp_path / "cache", console)
    pack = next((tmp_path / "cache").glob("*/*.pixels"))
    pack.write_bytes(pack.read_bytes()[:-1])
    again = open_store(pictures, 100, tmp_path / "cache", console)
    assert np.array_equal(again.get(pictures[0].digest), decode(pictures[0].path, 100))


def test_unreadable_photographs_are_told_of(pictures, tmp_path, console):
    bad = damaged(pictures[1], tmp_path)
    store = open_store([*pictures, bad], 100, tmp_path / "cache", console)
    assert list(store.unreadable) == [bad.digest]
    assert "runcated" in store.unreadable[bad.digest]
    with pytest.raises(KeyError):
        store.get(bad.digest)


def test_a_full_disk_is_found_before_decoding(pictures, tmp_path, console, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, 2**20))
    with pytest.raises(BadInput, match=r"has 1 MB free and 64 MB are needed; .* another --cache"):
        open_store(pictures, 100, tmp_path / "cache", console)
    assert not (tmp_path / "cache").exists()
