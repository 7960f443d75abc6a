"""What an examiner asks of decoding and of the network for the posts of a batch."""

from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from moderator import examine
from moderator.assembly import actions
from moderator.batch import Batch
from moderator.caching.cache import MemoryCache
from moderator.canary_watch import CanaryWatch
from moderator.decisions import Provenance
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoder import Budget, Decoded
from moderator.decoding.view import Layout, View
from moderator.embedder import Frame
from moderator.errors import Unavailable
from moderator.examine import PIECE, Examiner
from moderator.records import Post, PostImage, Record
from moderator.settings import Settings

VIEWS = Layout(64, 64, ((64, 64),) * 2, (View(0, "white"), View(0, "black")))


class Pool:
    """Decodes every picture into two views, and none that are broken."""

    def __init__(self) -> None:
        self.budgets: dict[bytes, list[Budget]] = {}
        self.held: set[int] = set()

    def submit(
        self, data: bytes, *, frames: int, seed: int, budgets: Sequence[Budget]
    ) -> Future[Decoded]:
        self.budgets[data] = list(budgets)
        future: Future[Decoded] = Future()
        if data == b"broken":
            future.set_exception(Undecodable("corrupt"))
            return future
        slot = len(self.budgets)
        self.held.add(slot)
        future.set_result(Decoded(slot, VIEWS))
        return future

    def release(self, slot: int) -> None:
        self.held.remove(slot)


class Network:
    """Takes pieces of frames until it is to fail."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.boxes: dict[Any, Any] = {}
        self.pieces: list[list[Frame]] = []
        self.futures: list[Future[Any]] = []
        self._fails_at = fails_at

    def submit(self, frames: Sequence[Frame], *, regions: bool) -> Future[Any]:
        if len(self.pieces) == self._fails_at:
            raise Unavailable("the network is closed")
        self.pieces.append(list(frames))
        self.futures.append(Future())
        return self.futures[-1]


class Unasked:
    """A matcher of which only the dimension is asked: no batch is judged here."""

    served = SimpleNamespace(index=SimpleNamespace(dimension=8))


def examiner(pool: Pool, network: Network) -> Examiner:
    settings = Settings()
    return Examiner(
        fetcher=None,  # type: ignore[arg-type]
        cache=MemoryCache(0),
        pool=pool,  # type: ignore[arg-type]
        embedder=network,
        matcher=Unasked(),  # type: ignore[arg-type]
        policy=None,  # type: ignore[arg-type]
        provenance=Provenance("", "", "", 0),
        actions=actions(settings.judging),
        canaries=CanaryWatch(settings.canaries),
        max_frames=3,
        decode_budget=5.0,
    )


def post(number: int, *pictures: bytes) -> Post:
    images = tuple(PostImage(str(n), data=data) for n, data in enumerate(pictures))
    return Post(Record("posts", 0, number, 0, None, b""), str(number), images=images)


def test_a_picture_has_the_time_of_every_post_that_shows_it_once() -> None:
    pool = Pool()
    examining = examiner(pool, Network())
    examining.prepare(examining.open([post(0, b"x", b"y", b"x"), post(1, b"y", b"z")]))
    (first,) = pool.budgets[b"x"]
    (second,) = pool.budgets[b"z"]
    assert first is not second
    assert first.left == second.left == 5.0
    assert [id(each) for each in pool.budgets[b"y"]] == [id(first), id(second)]


def opened(examining: Examiner, pictures: int) -> Batch:
    batch = examining.open([post(0, *(b"%d" % n for n in range(pictures)))])
    examining.prepare(batch)
    return batch


def test_the_network_gets_a_large_batch_in_pieces_that_part_no_picture(monkeypatch) -> None:
    moved: list[None] = []
    monkeypatch.setattr(examine, "progress", lambda: moved.append(None))
    pool, network = Pool(), Network()
    examining = examiner(pool, network)
    batch = opened(examining, PIECE)
    examining.embed(batch)
    assert len(moved) == PIECE
    assert [len(piece) for piece in network.pieces] == [PIECE, PIECE]
    assert not {f.slot for f in network.pieces[0]} & {f.slot for f in network.pieces[1]}
    network.futures[1].set_result(np.zeros((PIECE, 8), np.float32))
    assert pool.held == {frame.slot for frame in network.pieces[0]}
    network.futures[0].set_result(np.zeros((PIECE, 8), np.float32))
    assert not pool.held


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_network_that_goes_away_between_pieces_leaves_no_slot_behind(fails_at) -> None:
    pool, network = Pool(), Network(fails_at)
    examining = examiner(pool, network)
    batch = opened(examining, PIECE)
    with pytest.raises(Unavailable):
        examining.embed(batch)
    examining.drop(batch)
    for future in network.futures:
        future.cancel()
    assert not pool.held


def test_a_batch_of_which_nothing_can_be_decoded_asks_nothing_of_the_network() -> None:
    pool, network = Pool(), Network()
    examining = examiner(pool, network)
    batch = examining.open([post(0, b"broken")])
    examining.prepare(batch)
    examining.embed(batch)
    assert not network.pieces
    assert not pool.held
