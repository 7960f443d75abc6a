"""The store of copies: who shows what, through crashes at every step, replays and races."""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from moderator.decoding.view import WHOLE, View
from moderator.evidence.files import Files, open_files
from moderator.evidence.store import STALE, EvidenceStore, copy_name, post_name
from moderator.records import Record, digest

COPY = copy_name(digest(b"a picture"), WHOLE)
OTHER = copy_name(digest(b"another"), View(2))
JPEG = b"\xff\xd8 a copy"


def record(offset: int, *, partition: int = 0, timestamp: int = 0) -> Record:
    return Record("posts", partition, offset, timestamp, b"p", None)


def jpeg() -> bytes:
    return JPEG


def never() -> bytes:
    raise AssertionError("a copy that is there is not made again")


@pytest.fixture(params=["folder", "memory"])
def files(request, tmp_path) -> Files:
    place = str(tmp_path / "e") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    return open_files(place)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(files, clock) -> EvidenceStore:
    return EvidenceStore(files, clock)


def everything(files: Files) -> set[str]:
    return {path for folder in ("copies", "named", "posts") for path in files.walk(folder)}


def copies(files: Files) -> set[str]:
    return {path.rpartition("/")[2].removesuffix(".jpg") for path in files.walk("copies")}


def test_a_copy_lies_where_it_is_said_to_and_is_made_once(files, store) -> None:
    url = store.keep("p", record(0), COPY, jpeg)
    assert url is not None and url.endswith(f"/copies/{COPY[:2]}/{COPY[2:4]}/{COPY}.jpg")
    assert files.read(f"copies/{COPY[:2]}/{COPY[2:4]}/{COPY}.jpg") == JPEG
    before = {path: files.read(path) for path in everything(files)}
    assert store.keep("p", record(0), COPY, never) == url
    assert {path: files.read(path) for path in everything(files)} == before
    assert not any("writing" in path for path in everything(files))


def test_a_deleted_post_takes_its_copies_along(files, store) -> None:
    for copy in (COPY, OTHER):
        store.keep("p", record(0), copy, jpeg)
    assert store.delete("p", record(1)) == 2
    assert everything(files) == {f"posts/{post_name('p')[:2]}/{post_name('p')}/deleted"}
    assert store.delete("p", record(1)) == 0


def test_a_copy_that_another_post_shows_stays_until_that_one_goes(files, store) -> None:
    store.keep("p", record(0), COPY, jpeg)
    store.keep("q", record(1), COPY, never)
    assert store.delete("p", record(2)) == 0
    assert copies(files) == {COPY}
    assert store.delete("q", record(3)) == 1
    assert copies(files) == set()


def test_a_post_that_was_deleted_before_it_could_be_judged_is_not_kept(files, store) -> None:
    store.delete("p", record(5))
    assert store.keep("p", record(4), COPY, jpeg) is None
    assert copies(files) == set()
    assert store.keep("p", record(6), COPY, jpeg) is not None
    assert store.delete("p", record(5)) == 0
    assert copies(files) == {COPY}


def test_posts_of_different_partitions_are_ordered_by_time(store) -> None:
    store.delete("p", record(5, partition=1, timestamp=1000))
    assert store.keep("p", record(9, timestamp=999), COPY, jpeg) is None
    assert store.keep("p", record(0, timestamp=1001), COPY, jpeg) is not None


def test_a_copy_that_is_deleted_while_it_is_made_is_taken_back(files, store) -> None:
    def make() -> bytes:
        store.delete("p", record(1))
        return JPEG

    assert store.keep("p", record(0), COPY, make) is None
    assert copies(files) == set()


def test_copies_go_when_no_post_has_shown_them_for_their_time(files, store, clock) -> None:
    store.keep("p", record(0), COPY, jpeg)
    store.keep("q", record(1), OTHER, jpeg)
    store.delete("r", record(2))
    clock.now += 100
    store.keep("s", record(3), OTHER, never)
    assert store.sweep(clock.now - 50).copies == 1
    assert copies(files) == {OTHER}
    assert len(everything(files)) == 3
    assert store.sweep(clock.now - 50).copies == 0
    clock.now += 100
    assert store.sweep(clock.now - 50).copies == 1
    assert everything(files) == set()


def test_a_post_that_shows_a_copy_anew_keeps_it_for_as_long_again(files, store, clock) -> None:
    store.keep("p", record(0), COPY, jpeg)
    clock.now += 100
    store.keep("p", record(7), COPY, never)
    store.sweep(clock.now - 50)
    assert copies(files) == {COPY}


def test_a_sweep_takes_what_writers_that_were_cut_short_left(files, store, clock) -> None:
    store.keep("p", record(0), COPY, jpeg)
    files.write(f"copies/{OTHER[:2]}/{OTHER[2:4]}/{OTHER}.jpg", JPEG)
    files.write(f"named/{COPY[:2]}/{COPY}/removing-0", b'{"torn')
    store.sweep(clock.now - 50)
    assert copies(files) == {COPY}
    assert not any("removing" in path for path in everything(files))


def test_one_member_sweeps_at_a_time(store, clock) -> None:
    assert store.due(60)
    assert not store.due(60)
    clock.now += 61
    assert store.due(60)


class CutShort(BaseException):
    """The process ends here."""


class Fragile:
    """Files of which the process ends before or after the n-th change."""

    CHANGES = ("write", "remove")

    def __init__(self, files: Files, calls: int, *, after: bool) -> None:
        self._files, self._left, self._after = files, calls, after

    def __getattr__(self, name: str) -> Callable:
        call = getattr(self._files, name)
        return self._counted(call) if name in self.CHANGES else call

    def _counted(self, call: Callable) -> Callable:
        def counted(*given) -> None:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise CutShort
            call(*given)
            if self._left == 0:
                raise CutShort

        return counted


def crashes(files: Files, clock: Clock, step: Callable[[EvidenceStore], object]) -> Iterator[None]:
    """Run a step that ends at its n-th change, for every n, before and after it."""
    for calls, after in ((n // 2, bool(n % 2)) for n in itertools.count(2)):
        try:
            step(EvidenceStore(Fragile(files, calls, after=after), clock))
        except CutShort:
            yield
        else:
            return


def test_keeping_that_is_cut_short_anywhere_is_done_by_doing_it_again(files, clock) -> None:
    store = EvidenceStore(files, clock)
    points = 0
    for _ in crashes(files, clock, lambda store: store.keep("p", record(0), COPY, jpeg)):
        points += 1
        assert store.keep("p", record(0), COPY, jpeg) is not None
        assert copies(files) == {COPY}
        assert store.delete("p", record(1)) == 1
        assert copies(files) == set()
        for path in everything(files):
            files.remove(path)
    assert points >= 6


def test_keeping_that_is_cut_short_leaves_nothing_once_the_post_is_deleted(files, clock) -> None:
    store = EvidenceStore(files, clock)
    for _ in crashes(files, clock, lambda store: store.keep("p", record(0), COPY, jpeg)):
        store.delete("p", record(1))
        assert [path for path in everything(files) if not path.endswith("/deleted")] == []
        for path in everything(files):
            files.remove(path)


def test_deleting_that_is_cut_short_anywhere_is_done_by_doing_it_again(files, clock) -> None:
    store = EvidenceStore(files, clock)
    points = 0

    def begin() -> None:
        store.keep("p", record(0), COPY, jpeg)
        store.keep("p", record(0), OTHER, jpeg)
        store.keep("q", record(1), OTHER, never)

    begin()
    for _ in crashes(files, clock, lambda store: store.delete("p", record(2))):
        points += 1
        assert OTHER in copies(files)
        # The post is read again too where its batch was not committed: it stays deleted, once
        # that was written at all.
        again = store.keep("p", record(0), COPY, jpeg)
        assert (again is None) == (points > 1)
        store.delete("p", record(2))
        assert copies(files) == {OTHER}
        left = {path for path in everything(files) if post_name("p") in path}
        assert all(path.endswith("/deleted") for path in left)
        clock.now += 2 * STALE
        store.sweep(clock.now - 10 * STALE)
        assert not any("removing" in path for path in everything(files))
        for path in everything(files):
            files.remove(path)
        begin()
    assert points >= 10


def test_a_sweep_that_is_cut_short_anywhere_is_done_by_the_next(files, clock) -> None:
    store = EvidenceStore(files, clock)
    store.keep("p", record(0), COPY, jpeg)
    store.keep("q", record(1), COPY, never)
    clock.now += 1000
    store.keep("r", record(2), OTHER, jpeg)
    for _ in crashes(files, clock, lambda store: store.sweep(clock.now - 500)):
        assert OTHER in copies(files)
        clock.now += STALE
    store.sweep(clock.now - 500 - 30 * STALE)
    assert copies(files) == {OTHER}


def test_members_that_keep_and_delete_one_copy_at_once_lose_none_that_is_shown(files) -> None:
    store = EvidenceStore(files)
    path = f"copies/{COPY[:2]}/{COPY[2:4]}/{COPY}.jpg"
    lost: list[int] = []
    failed: list[BaseException] = []

    def come_and_go(post: str, rounds: int) -> None:
        try:
            for n in range(rounds):
                kept = store.keep(post, record(2 * n), COPY, jpeg)
                # Nobody deleted this post: whoever deletes others must leave its copy.
                if kept is None or files.read(path) != JPEG:
                    lost.append(n)
                store.delete(post, record(2 * n + 1))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=come_and_go, args=(name, 40)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (lost, failed) == ([], [])
    assert copies(files) == set()
