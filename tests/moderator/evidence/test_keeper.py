"""Keeping copies for batches: bounded whatever the store does; no deletion is ever dropped."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from moderator.decide import ImageDecision, PostDecision
from moderator.decisions import Decided, DecidedImage, Provenance, outgoing, to_json
from moderator.decoding.decode import Undecodable
from moderator.decoding.view import View
from moderator.evidence.files import LocalFiles
from moderator.evidence.keeper import FAILURES, Keeper
from moderator.evidence.store import EvidenceStore
from moderator.findings import DELETION_BYTES
from moderator.records import Post, Record, digest
from moderator.retries import DELETION_DELAY, DELETIONS, Retries, RetryTopic
from tests.moderator.layouts import still
from tests.moderator.member import until
from tests.moderator.schemas import schema

PICTURE, OTHER, BAD = b"picture", b"other", b"bad"
DATA = {digest(data): data for data in (PICTURE, OTHER, BAD)}
TIMEOUT = 0.3
TOPIC_ID = "12345678-9abc-def0-1234-56789abcdef0"


class Copying:
    """Copies that are made of what they are of."""

    made = 0

    def copied(self, data: bytes, view: View, timeout: float) -> bytes:
        if data == BAD:
            raise Undecodable("crash")
        self.made += 1
        return b"copy of " + data


class Hanging(LocalFiles):
    """A store whose calls wait, or whose writes fail, until it is mended."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.mended = threading.Event()
        self.mended.set()
        self.broken = False

    def write(self, path: str, data: bytes) -> None:
        if self.broken:
            raise OSError("no space left")
        super().write(path, data)

    def names(self, folder: str) -> list[str]:
        assert self.mended.wait(30)
        return super().names(folder)


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


def again(found: Decided) -> Decided:
    """Return a deletion as it is read again from its topic."""
    *before, out = outgoing(found, room=10**6)
    assert [each.role for each in before] == ([] if found.post.again else ["decisions"])
    assert out.role == DELETIONS
    rounds = Retries((), "posts", deletions=RetryTopic(DELETIONS, "d", DELETION_DELAY))
    record = Record("d", 0, 9, 0, out.key, out.value, out.headers)
    post = rounds.post(record, max_bytes=10, max_images=1)
    assert (post.decision_id, post.post_id) == (found.post.decision_id, found.post.post_id)
    return Decided(post, found.decision, (), found.provenance, 0.0)


def kept(keeper: Keeper, *posts: Decided) -> list[list[str | None]]:
    found = keeper.keep(posts, DATA)
    assert [each.post for each in found] == [each.post for each in posts]
    return [[image.evidence for image in each.images] for each in found]


def copies(files: LocalFiles) -> Sequence[str]:
    return sorted(path for path in files.walk("kept") if path.endswith(".jpg"))


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


@pytest.mark.parametrize("fault", ["broken", "hanging"])
def test_a_deletion_that_is_not_done_comes_round_until_it_is(files, keeper, fault) -> None:
    assert kept(keeper, decided("a", 0, PICTURE)) != [[None]]
    files.broken = fault == "broken"
    if fault == "hanging":
        files.mended.clear()
    (found,) = keeper.keep([deletion("a", 2)], DATA)
    for _ in range(3):
        assert keeper.failing
        (found,) = keeper.keep([again(found)], DATA)
    assert len(copies(files)) == 1
    files.broken = False
    files.mended.set()

    def done() -> bool:
        nonlocal found
        (found,) = keeper.keep([again(found)], DATA)
        return found.removal is None

    until(done, "the deletion to be done")
    assert copies(files) == []
    # It was decided when it was first read.
    assert outgoing(found, room=10**6) == []
    assert not keeper.failing


def test_a_deletion_fits_whatever_it_carried_and_is_published_though_nothing_else_fits(
    files, keeper
) -> None:
    files.broken = True
    huge = deletion("k" * 512, 1)
    record = replace(huge.post.record, headers=(("x", b"x" * 10**6),), topic_id=TOPIC_ID)
    (found,) = keeper.keep([replace(huge, post=replace(huge.post, record=record))], DATA)
    _, out = outgoing(found, room=0)
    assert out.size < DELETION_BYTES
    assert again(found).post.record.topic_id == TOPIC_ID


def test_a_hanging_store_holds_no_bytes_of_what_nobody_waits_for(files) -> None:
    keeper = Keeper(
        EvidenceStore(files), Copying(), everything=False, timeout=0.01, connections=1
    )  # fmt: skip
    files.mended.clear()
    pictures = [b"%d" % n * 1000 for n in range(50)]
    posts = [decided(f"p{n}", n, data) for n, data in enumerate(pictures)]
    before = FAILURES.labels("timeout")._value.get()
    keeper.keep(posts, {digest(data): data for data in pictures})
    assert FAILURES.labels("timeout")._value.get() == before + 50
    # One of them is with the store; the others are let go of.
    assert keeper._threads.waiting == 0
    assert len(keeper._threads._calls) == 0
    files.mended.set()
    keeper.close()


def test_an_image_whose_bytes_are_not_there_is_counted(files, keeper) -> None:
    before = FAILURES.labels("bytes")._value.get()
    found = keeper.keep([decided("a", 0, PICTURE), decided("b", 1, OTHER)], {})
    assert [each.images[0].evidence for each in found] == [None, None]
    assert FAILURES.labels("bytes")._value.get() == before + 2


def test_deletions_wait_while_copies_are_as_an_earlier_version_kept_them_and_posts_do_not(
    files, keeper
) -> None:
    files.write("named/ab/abcd/x", b"{}")
    for n in range(3):
        copied, gone = keeper.keep([decided("a", n, PICTURE), deletion("b", n + 10)], DATA)
        assert copied.images[0].evidence is not None
        assert gone.removal is not None
    files.remove("named/ab/abcd/x")
    (gone,) = keeper.keep([again(gone)], DATA)
    assert gone.removal is None


@pytest.mark.parametrize("place", ["file/below", "proc"])
def test_a_place_that_cannot_be_written_is_no_more_than_no_evidence(tmp_path, place) -> None:
    (tmp_path / "file").write_text("a file, and no folder")
    root = Path("/proc/nowhere") if place == "proc" else tmp_path / place
    keeper = keeper_of(LocalFiles(root))
    assert kept(keeper, decided("a", 0, PICTURE), deletion("b", 1)) == [[None], []]
    keeper.close()
