"""Moving a store from the layout of earlier versions, also where that is cut short anywhere."""

import itertools
import json
import uuid

import pytest

from moderator.decoding.view import WHOLE
from moderator.evidence.files import Files, open_files
from moderator.evidence.migration import migrate
from moderator.evidence.store import EvidenceStore, copy_name, post_name
from moderator.records import Record, digest
from tests.moderator.evidence.test_store import CutShort, Fragile, copies, everything

NOW = 1_800_000_000.0
COPY, OTHER, ALONE = (copy_name(digest(each), WHOLE) for each in (b"one", b"other", b"alone"))


@pytest.fixture(params=["folder", "memory"])
def files(request, tmp_path) -> Files:
    place = str(tmp_path / "e") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    return open_files(place)


def mention(offset: int, time: float) -> bytes:
    said = {"topic": "posts", "partition": 0, "offset": offset, "timestamp": 1000 + offset}
    return json.dumps(said | {"time": int(time * 1000)}).encode()


def shown(files: Files, post_id: str, copy: str, offset: int, time: float = NOW) -> None:
    """Have a post show a copy as earlier versions wrote it down."""
    post = post_name(post_id)
    files.write(f"posts/{post[:2]}/{post}/{copy}", mention(offset, time))
    files.write(f"named/{copy[:2]}/{copy}/{post}", mention(offset, time))
    files.write(f"copies/{copy[:2]}/{copy[2:4]}/{copy}.jpg", copy.encode())


def deleted(files: Files, post_id: str, offset: int) -> None:
    post = post_name(post_id)
    files.write(f"posts/{post[:2]}/{post}/deleted", mention(offset, NOW))


def old_store(files: Files) -> None:
    """Write copies that are shared, too old, of deleted posts, of nobody, and half removed."""
    shown(files, "p", COPY, 1)
    shown(files, "q", COPY, 2)
    shown(files, "q", OTHER, 3)
    shown(files, "old", ALONE, 4, NOW - 1000)
    shown(files, "gone", OTHER, 5)
    deleted(files, "gone", 6)
    shown(files, "back", COPY, 8)
    deleted(files, "back", 7)
    nobody = copy_name(digest(b"nobody"), WHOLE)
    files.write(f"copies/{nobody[:2]}/{nobody[2:4]}/{nobody}.jpg", b"x")
    files.write(f"named/{COPY[:2]}/{COPY}/removing-0", b'{"torn')
    files.write(f"named/{COPY[:2]}/{COPY}/{post_name('torn')}", b'{"torn')


def check(files: Files) -> None:
    assert not [*files.walk("copies"), *files.walk("named"), *files.walk("posts")]
    assert copies(files) == sorted([COPY, COPY, COPY, OTHER])
    for path in everything(files):
        name = path.rpartition("/")[2].split(".")
        assert path.endswith(".deleted") or files.read(path) == name[1].encode()
        assert name[-2] == str(int(NOW * 1000))


def test_each_post_gets_a_copy_of_its_own_as_old_as_it_was(files) -> None:
    old_store(files)
    moved = list(migrate(files, NOW - 500))
    check(files)
    assert sum(each.target is not None for each in moved) == 4 + 2
    assert sum(each.target is None for each in moved) == 2
    assert list(migrate(files, NOW - 500)) == []
    store = EvidenceStore(files)
    # What was deleted before stays so, and what is moved can be deleted by today's records.
    again = Record("posts", 0, 4, 1004, b"gone", b"x", topic_id="a" * 32)
    assert store.keep("gone", again, OTHER, lambda: b"") is None
    for post_id, count in (("p", 1), ("q", 2), ("back", 1)):
        gone = Record("posts", 0, 0, 0, post_id.encode(), None, topic_id="a" * 32)
        assert store.delete(post_id, gone) == count
    assert copies(files) == []


def test_a_move_that_is_cut_short_anywhere_is_done_by_doing_it_again(files) -> None:
    for n in itertools.count(2):
        for path in everything(files):
            files.remove(path)
        old_store(files)
        try:
            list(migrate(Fragile(files, n // 2, after=bool(n % 2)), NOW - 500))
        except CutShort:
            list(migrate(files, NOW - 500))
            check(files)
        else:
            break
    check(files)
    assert n > 40
