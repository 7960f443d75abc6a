"""Releases from a folder and from a URL: found by id, fetched whole or not at all."""

import os
import shutil

import pytest

from models.errors import BadRelease
from models.release import load_release
from moderator.errors import BadSettings, Unavailable
from moderator.rollout.store import FolderStore, RemoteStore, _aside, open_store
from moderator.settings import load_settings
from tests.models.samples import written


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return written(tmp_path_factory.mktemp("made") / "named-by-people")


@pytest.fixture(params=["folder", "url"])
def store(request, release, tmp_path):
    """A store that holds the release under a name of its own."""
    shutil.copytree(release.path, tmp_path / "there" / "any name")
    if request.param == "folder":
        return FolderStore(tmp_path / "there")
    return RemoteStore(f"file://{tmp_path / 'there'}", tmp_path / "cache")


def test_a_release_is_found_by_its_id_whatever_its_folder_is_named(store, release) -> None:
    assert load_release(store.find(release.id)).id == release.id


def test_one_that_is_not_there_is_one_line(store) -> None:
    with pytest.raises(BadRelease, match="no release 0123456789abcdef") as caught:
        store.find("0123456789abcdef")
    assert "\n" not in str(caught.value)


def test_what_is_added_is_found_and_added_once(store, tmp_path) -> None:
    other = written(tmp_path / "other", report={"mAP": 0.75})
    assert store.add(other.id, other.path)
    assert not store.add(other.id, other.path)
    found = store.find(other.id)
    assert found.name == other.id
    assert load_release(found).report == {"mAP": 0.75}


def test_a_fetched_release_is_kept_and_a_damaged_copy_is_fetched_again(release, tmp_path) -> None:
    source = shutil.copytree(release.path, tmp_path / "there" / release.id)
    store = RemoteStore(f"file://{tmp_path / 'there'}", tmp_path / "cache")
    kept = store.find(release.id)
    weights = kept / "weights.safetensors"
    weights.write_bytes(b"damaged")
    assert load_release(store.find(release.id)).id == release.id
    shutil.rmtree(source)
    assert store.find(release.id) == kept
    assert [path.name for path in kept.parent.iterdir()] == [release.id]


def test_half_a_release_is_not_kept(release, tmp_path) -> None:
    source = shutil.copytree(release.path, tmp_path / "there" / release.id)
    (source / "policy.json").unlink()
    store = RemoteStore(f"file://{tmp_path / 'there'}", tmp_path / "cache")
    with pytest.raises(BadRelease, match=r"policy\.json is not there"):
        store.find(release.id)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_store_that_fails_is_the_worlds_fault_and_its_password_is_not_told(tmp_path) -> None:
    store = RemoteStore("ftp://me:hidden@127.0.0.1:9/releases", tmp_path / "cache")
    with pytest.raises(Unavailable) as caught:
        store.find("0123456789abcdef")
    assert "hidden" not in str(caught.value)


def test_a_scheme_that_nobody_knows_is_one_line(tmp_path) -> None:
    with pytest.raises(BadSettings, match="releases_url nowhere://x"):
        RemoteStore("nowhere://x", tmp_path).find("0123456789abcdef")


@pytest.mark.parametrize("url", [None, "", "/releases", "s3://bucket/releases"])
def test_which_store_the_settings_name(url, release) -> None:
    given = (
        {"release": str(release.path), "releases_url": url}
        if url is not None
        else {"release": str(release.path)}
    )
    store = open_store(load_settings(given, environ={}))
    assert store.place == (url or str(release.path.parent))


def test_only_the_files_that_the_manifest_names_are_copied(store, tmp_path) -> None:
    other = written(tmp_path / "other", report={"mAP": 0.75})
    named = {file.name for file in other.path.iterdir()}
    (other.path / "notes.txt").write_text("not for everybody")
    (other.path / "more").mkdir()
    assert store.add(other.id, other.path)
    (copied,) = (tmp_path / "there").glob(other.id)
    assert {file.name for file in copied.iterdir()} == named


def test_what_a_copy_that_was_cut_off_left_is_removed_once_nobody_fills_it(store, tmp_path) -> None:
    folder = tmp_path / ("there" if isinstance(store, FolderStore) else "cache")
    folder.mkdir(exist_ok=True)
    kept = {path.name for path in folder.iterdir()}
    left, fresh = folder / ".incoming-left", folder / ".incoming-fresh"
    for each in (left, fresh):
        each.mkdir()
        (each / "weights.safetensors").write_bytes(b"half")
    os.utime(left, (0, 0))
    with _aside(folder) as filled:
        os.utime(filled, (0, 0))
        store.tidy()
        assert {path.name for path in folder.iterdir()} == {*kept, filled.name, fresh.name}
    store.tidy()
    assert {path.name for path in folder.iterdir()} == {*kept, fresh.name}


def test_a_folder_that_is_not_there_is_tidy(tmp_path) -> None:
    FolderStore(tmp_path / "absent").tidy()
