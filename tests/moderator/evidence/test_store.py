"""The store of copies: what is deleted is gone, through crashes, replays and races."""

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from moderator.decoding.view import WHOLE, View
from moderator.evidence.files import Files, open_files
from moderator.evidence.store import (
    LEFT_OVER,
    EvidenceStore,
    OldLayoutError,
    copy_name,
    post_folder,
)
from moderator.records import Record, digest, parse_post

COPY = copy_name(digest(b"a picture"), WHOLE)
OTHER = copy_name(digest(b"another"), View(2))
JPEG = b"\xff\xd8 a copy"
TOPIC, ANEW = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def record(
    offset: int,
    *,
    partition: int = 0,
    timestamp: int = 0,
    topic_id: str = TOPIC,
    past: bool = False,
) -> Record:
    return Record(
        "posts", partition, offset, timestamp, b"p", None, topic_id=topic_id, past=past
    )  # fmt: skip


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
    return set(files.walk("kept"))


def copies(files: Files) -> list[str]:
    """Return the names of copies, each as often as it is kept."""
    return sorted(path.split(".")[1] for path in everything(files) if path.endswith(".jpg"))


def test_a_copy_lies_where_it_is_said_to_and_is_made_once(files, store, clock) -> None:
    url = store.keep("p", record(7), COPY, jpeg)
    (path,) = everything(files)
    assert path == f"{post_folder('p')}/{TOPIC}_0_7_0.{COPY}.{int(clock.now * 1000)}.jpg"
    assert url == files.url(path)
    assert files.read(path) == JPEG
    clock.now += 5
    assert store.keep("p", record(7), COPY, never) == url
    assert everything(files) == {path}


def test_a_deleted_post_takes_its_copies_along_and_no_others(files, store) -> None:
    for copy in (COPY, OTHER):
        store.keep("p", record(0), copy, jpeg)
    store.keep("q", record(1), COPY, jpeg)
    assert store.delete("p", record(2)) == 2
    assert copies(files) == [COPY]
    assert store.delete("p", record(2)) == 0
    assert store.delete("q", record(3)) == 1
    assert copies(files) == []
    assert len(everything(files)) == 2


def test_a_post_that_was_deleted_before_it_could_be_judged_is_not_kept(files, store) -> None:
    store.delete("p", record(5))
    assert store.keep("p", record(4), COPY, never) is None
    assert copies(files) == []
    assert store.keep("p", record(6), COPY, jpeg) is not None
    assert store.delete("p", record(5)) == 0
    assert copies(files) == [COPY]


@pytest.mark.parametrize("ahead", [0, 3_000, 3_600_000])
def test_what_an_operator_deletes_is_gone_whatever_clock_the_post_was_made_by(
    files, store, clock, ahead
) -> None:
    posted = record(5, timestamp=int(clock.now * 1000) + ahead)
    store.keep("4711", posted, COPY, jpeg)
    store.keep("4711", record(3, partition=1, topic_id=""), OTHER, jpeg)
    assert store.delete_all("4711") == 2
    assert copies(files) == []
    # Neither the record read again, nor a later one.
    assert store.keep("4711", posted, COPY, never) is None
    assert store.keep("4711", record(9), COPY, never) is None
    assert store.delete("4711", record(10)) == 0
    assert store.keep("4711", record(11), COPY, never) is None


def test_a_topic_made_anew_neither_loses_a_deletion_nor_obeys_an_old_one(files, store) -> None:
    store.keep("p", record(5000), COPY, jpeg)
    assert store.delete("p", record(10, topic_id=ANEW)) == 1
    assert copies(files) == []
    store.delete("q", record(5000))
    assert store.keep("q", record(10, topic_id=ANEW), COPY, jpeg) is not None
    # What is late from the topic that is gone comes before all of the one that is there.
    assert store.delete("q", record(6000, past=True)) == 0
    store.delete("r", record(3, topic_id=ANEW))
    assert store.keep("r", record(7000, past=True), COPY, never) is None
    assert copies(files) == [COPY]


def test_posts_of_different_partitions_are_ordered_by_time(store) -> None:
    store.delete("p", record(5, partition=1, timestamp=1000))
    assert store.keep("p", record(9, timestamp=999), COPY, jpeg) is None
    assert store.keep("p", record(0, timestamp=1001), COPY, jpeg) is not None


@pytest.mark.parametrize("length", [1, 512, 513, 600, 100_000])
def test_a_post_is_deleted_by_its_key_however_long_that_is(files, store, length) -> None:
    key, limits = b"k" * length, {"max_bytes": 10**7, "max_images": 20}
    headers = (("content-type", b"image/png"),)
    post = parse_post(Record("posts", 0, 5, 0, key, b"img", headers), **limits)
    store.keep(post.post_id, post.record, COPY, jpeg)
    gone = parse_post(Record("posts", 0, 6, 0, key, None), **limits)
    assert gone.deleted and gone.post_id == post.post_id
    assert store.delete(gone.post_id, gone.record) == 1
    assert copies(files) == []


def test_a_copy_that_is_deleted_while_it_is_made_is_taken_back(files, store) -> None:
    def make() -> bytes:
        store.delete("p", record(1))
        return JPEG

    assert store.keep("p", record(0), COPY, make) is None
    assert copies(files) == []


def test_a_later_record_of_the_same_post_keeps_its_own_copy_while_it_is_deleted(files) -> None:
    """The deletion at 6 has looked at nothing yet when the record at 7 is kept, or at all."""
    plain = EvidenceStore(files)
    plain.keep("p", record(5), COPY, jpeg)
    kept = []

    class Between:
        """Keeps the later record at one of the deletion's steps."""

        def __init__(self, step: str) -> None:
            self._step = step

        def __getattr__(self, name: str) -> Callable:
            if name == self._step:
                self._step = ""
                kept.append(plain.keep("p", record(7), COPY, jpeg))
            return getattr(files, name)

    for step in ("write", "names", "remove"):
        EvidenceStore(Between(step)).delete("p", record(6))
        assert copies(files) == [COPY], step
        (path,) = (each for each in everything(files) if each.endswith(".jpg"))
        assert kept[-1] == files.url(path) and "_7_0." in path
        assert plain.sweep(0.0).copies == 0
        assert plain.delete("p", record(8)) == 1
        for each in everything(files):
            files.remove(each)
        plain.keep("p", record(5), COPY, jpeg)


def test_copies_and_deletions_go_when_they_are_old(files, store, clock) -> None:
    store.keep("p", record(0), COPY, jpeg)
    store.delete("r", record(2))
    clock.now += 100
    store.keep("p", record(3), OTHER, jpeg)
    files.write(f"{post_folder('x')}/somebody.else", b"theirs")
    swept = store.sweep(clock.now - 50)
    assert (swept.copies, swept.deletions) == (1, 1)
    assert copies(files) == [OTHER]
    assert store.sweep(clock.now - 50).copies == 0
    clock.now += 100
    assert store.sweep(clock.now - 50).copies == 1
    assert everything(files) == {f"{post_folder('x')}/somebody.else"}


def test_one_member_sweeps_at_a_time(files, store, clock) -> None:
    assert store.due(60)
    assert not store.due(60)
    clock.now += 61
    assert store.due(60)
    for torn in (b"", b"soon", str(int(clock.now * 1000) + LEFT_OVER * 1000).encode()):
        files.write("swept", torn)
        assert store.due(60)


@pytest.mark.parametrize("folder", ["named/ab/abcd", "copies/ab/cd"])
def test_a_deletion_is_not_done_while_copies_are_as_an_earlier_version_kept_them(
    files, store, folder
) -> None:
    store.keep("p", record(0), COPY, jpeg)
    files.write(f"{folder}/x", b"{}")
    with pytest.raises(OldLayoutError, match="evidence migrate"):
        store.delete("p", record(1))
    with pytest.raises(OldLayoutError):
        store.delete_all("p")
    assert copies(files) == []
    files.remove(f"{folder}/x")
    assert store.delete("p", record(1)) == 0


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


def test_keeping_that_is_cut_short_anywhere_leaves_nothing_once_the_post_is_deleted(
    files, clock
) -> None:
    store = EvidenceStore(files, clock)
    points = 0
    for _ in crashes(files, clock, lambda store: store.keep("p", record(0), COPY, jpeg)):
        points += 1
        if points % 2:
            assert store.keep("p", record(0), COPY, jpeg) is not None
            assert copies(files) == [COPY]
        store.delete("p", record(1))
        assert copies(files) == []
        for path in everything(files):
            files.remove(path)
    assert points == 2


def test_keeping_that_is_cut_short_after_the_post_was_deleted_is_taken_back_by_doing_it_again(
    files, clock
) -> None:
    store = EvidenceStore(files, clock)

    def deleted_meanwhile() -> bytes:
        store.delete("p", record(1))
        return JPEG

    points = 0
    for _ in crashes(files, clock, lambda s: s.keep("p", record(0), COPY, deleted_meanwhile)):
        points += 1
        assert store.keep("p", record(0), COPY, never) is None
        assert copies(files) == []
        for path in everything(files):
            files.remove(path)
    assert points == 4


def test_deleting_that_is_cut_short_anywhere_is_done_by_doing_it_again(files, clock) -> None:
    store = EvidenceStore(files, clock)
    points = 0

    def begin() -> None:
        for path in everything(files):
            files.remove(path)
        store.keep("p", record(0), COPY, jpeg)
        store.keep("p", record(0), OTHER, jpeg)
        store.keep("q", record(1), OTHER, jpeg)

    begin()
    for _ in crashes(files, clock, lambda store: store.delete("p", record(2))):
        points += 1
        # The post is read again too where its batch was not committed: it stays deleted, once
        # that was written at all.
        again = store.keep("p", record(0), COPY, jpeg)
        assert (again is None) == (points > 1)
        store.delete("p", record(2))
        assert copies(files) == [OTHER]
        deletions = [path for path in everything(files) if path.endswith(".deleted")]
        assert len(deletions) == 1
        begin()
    assert points == 6


class Jittery:
    """Files whose calls take a little while each, so that members meet at every step."""

    def __init__(self, files: Files) -> None:
        self._files, self._chance = files, random.Random(0)

    def __getattr__(self, name: str) -> Callable:
        call = getattr(self._files, name)

        def slow(*given) -> object:
            time.sleep(self._chance.uniform(0, 0.002))
            return call(*given)

        return slow


def test_members_that_keep_and_delete_one_post_at_once_keep_what_is_there_and_nothing_else(
    tmp_path,
) -> None:
    """In each round a record of a post is kept while its deletion is done, and a later record."""
    # On a disk: the store in memory fails where two threads remove one of its files.
    files = open_files(str(tmp_path / "e"))
    rounds = 100
    begin, chance = threading.Barrier(3), random.Random(1)

    def slowly() -> bytes:
        time.sleep(chance.uniform(0, 0.02))
        return JPEG

    def member(step: Callable[[EvidenceStore, int], object]) -> None:
        store = EvidenceStore(Jittery(files))
        for n in range(rounds):
            begin.wait(30)
            step(store, n)

    # A post for each round, which all members work on: a later deletion would hide what is left.
    steps: list[Callable[[EvidenceStore, int], object]] = [
        lambda store, n: store.keep(f"p{n}", record(5), COPY, slowly),
        lambda store, n: store.delete(f"p{n}", record(6)),
        lambda store, n: store.keep(f"p{n}", record(7), COPY, jpeg),
    ]
    with ThreadPoolExecutor(len(steps)) as threads:
        for working in [threads.submit(member, step) for step in steps]:
            working.result()
    left = [path for path in everything(files) if path.endswith(".jpg")]
    assert {path.rpartition("/")[2].split("_")[2] for path in left} == {"7"}
    assert len(left) == rounds
    gone = [EvidenceStore(files).delete(f"p{n}", record(8)) for n in range(rounds)]
    assert gone == [1] * rounds
    assert copies(files) == []
