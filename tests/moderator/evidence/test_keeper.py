"""Keeping copies for batches: bounded whatever the store does; deletions until they are done."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from moderator.decide import ImageDecision, PostDecision
from moderator.decisions import Decided, DecidedImage, Provenance, to_json
from moderator.decoding.decode import Undecodable
from moderator.decoding.view import View
from moderator.evidence.files import LocalFiles
from moderator.evidence.keeper import Keeper
from moderator.evidence.store import EvidenceStore
from moderator.records import Post, Record, digest
from tests.moderator.layouts import still
from tests.moderator.member import until
from tests.moderator.schemas import schema

PICTURE, OTHER, BAD = b"picture", b"other", b"bad"
DATA = {digest(data): data for data in (PICTURE, OTHER, BAD)}
TIMEOUT = 0.3


class Copying:
    """Copies that are made of what they are of."""

    made = 0

    def copied(self, data: bytes, view: View, timeout: float) -> bytes:
        if data == BAD:
            raise Undecodable("crash")
        self.made += 1
        return b"copy of " + data


class Hanging(LocalFiles):
    """A store whose writes wait, or fail, until it is mended."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.mended = threading.Event()
        self.mended.set()
        self.broken = False

    def write(self, path: str, data: bytes) -> None:
        if self.broken:
            raise OSError("no space left")
        assert self.mended.wait(30)
        super().write(path, data)


@pytest.fixture
def files(tmp_path) -> Hanging:
    return Hanging(tmp_path / "evidence")


@pytest.fixture
def keeper(files) -> Iterator[Keeper]:
    keeper = keeper_of(files)
    yield keeper
    files.mended.set()
    keeper.close()


def keeper_of(files: LocalFiles, *, everything: bool = False) -> Keeper:
    return Keeper(
        EvidenceStore(files), Copying(), everything=everything, timeout=TIMEOUT, connections=4
    )


def decided(name: str, offset: int, *pictures: bytes, answer: str = "flag") -> Decided:
    record = Record("posts", 0, offset, 0, name.encode(), b"x")
    images = [
        DecidedImage(str(n), ImageDecision(answer, "match", view=0), digest(data), still(9, 9))
        for n, data in enumerate(pictures)
    ]
    post, said = Post(record, name), PostDecision(answer, "match")
    return Decided(post, said, tuple(images), Provenance("r", "n", "p", 0), 0.0)


def deletion(name: str, offset: int) -> Decided:
    post = Post(Record("posts", 0, offset, 0, name.encode(), None), name, deleted=True)
    return Decided(post, PostDecision("pass", "deleted"), (), Provenance("r", "n", "p", 0), 0.0)


def kept(keeper: Keeper, *posts: Decided) -> list[list[str | None]]:
    found = keeper.keep(posts, DATA)
    assert [each.post for each in found] == [each.post for each in posts]
    return [[image.evidence for image in each.images] for each in found]


def copies(files: LocalFiles) -> Sequence[str]:
    return sorted(files.walk("copies"))


def test_flagged_posts_have_copies_and_others_none(files, keeper) -> None:
    found = keeper.keep(
        [decided("a", 0, PICTURE, BAD), decided("b", 1, OTHER, answer="pass")], DATA
    )
    (copy, none), (other,) = ([image.evidence for image in each.images] for each in found)
    assert (
        copy is not None and Path(copy.removeprefix("file://")).read_bytes() == b"copy of picture"
    )
    assert (none, other) == (None, None)
    assert to_json(found[0])["images"][0]["evidence"] == copy
    assert not list(schema("decision-1").iter_errors(to_json(found[0])))
    assert len(copies(files)) == 1


def test_all_posts_have_copies_where_that_is_asked_for(files) -> None:
    keeper = keeper_of(files, everything=True)
    assert None not in kept(keeper, decided("b", 1, OTHER, answer="pass"))[0]
    keeper.close()


def test_a_post_and_its_deletion_in_one_batch_leave_nothing(files, keeper) -> None:
    kept(keeper, decided("a", 0, PICTURE), deletion("a", 1))
    until(lambda: not copies(files), "the copy to be gone")


def test_a_slow_store_holds_up_one_batch_for_its_time_and_the_next_ones_not(files, keeper) -> None:
    files.mended.clear()
    begin = time.monotonic()
    assert kept(keeper, decided("a", 0, PICTURE)) == [[None]]
    first = time.monotonic() - begin
    begin = time.monotonic()
    for n in range(20):
        assert kept(keeper, decided(f"b{n}", n + 1, OTHER), deletion("c", n + 30)) == [[None], []]
    assert first >= TIMEOUT
    assert time.monotonic() - begin < 10 * TIMEOUT
    files.mended.set()
    until(lambda: kept(keeper, decided("d", 99, PICTURE)) != [[None]], "evidence again")


def test_a_broken_store_has_no_evidence_and_deletions_are_done_once_it_is_mended(
    files, keeper
) -> None:
    assert kept(keeper, decided("a", 0, PICTURE)) != [[None]]
    files.broken = True
    assert kept(keeper, decided("b", 1, OTHER), deletion("a", 2)) == [[None], []]
    time.sleep(0.1)
    assert len(copies(files)) == 1
    files.broken = False
    until(lambda: not copies(files), "the deletion to be done")


@pytest.mark.parametrize("place", ["file/below", "proc"])
def test_a_place_that_cannot_be_written_is_no_more_than_no_evidence(tmp_path, place) -> None:
    (tmp_path / "file").write_text("a file, and no folder")
    root = Path("/proc/nowhere") if place == "proc" else tmp_path / place
    keeper = keeper_of(LocalFiles(root))
    assert kept(keeper, decided("a", 0, PICTURE), deletion("b", 1)) == [[None], []]
    keeper.close()
