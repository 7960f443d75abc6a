"""The network in this process: frames to embeddings in their order, whatever the chunks."""

import threading
from concurrent.futures import CancelledError
from types import SimpleNamespace

import numpy as np
import pytest

from models.errors import BadNetwork
from moderator.embedder import Frame, InProcessEmbedder
from moderator.errors import Unavailable
from moderator.slots import SlotArena

SHAPES = ((8, 8), (4, 16), (16, 4))


class Numbered:
    """A network whose embedding of a frame is its first pixel, and how many went with it."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(pixels.shape)
        return np.stack([pixels[:, 0, 0, 0], pixels[:, 0, 0, 1]], axis=1).astype(np.float32)

    def describe_rows(self, pixels: np.ndarray, *, regions: bool) -> np.ndarray:
        return self.embed(pixels)[:, None]


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def describe_rows(self, pixels: np.ndarray, *, regions: bool) -> np.ndarray:
        raise self.error


@pytest.fixture
def arena():
    arena = SlotArena(32, 2 * 8 * 8 * 3, frames=2)
    yield arena
    arena.close()


def frames_in(arena: SlotArena, count: int) -> list[Frame]:
    """Return frames of shapes that take turns; the first pixel says slot and index."""
    frames = []
    for number in range(count):
        frame = Frame(number // 2, number % 2, *SHAPES[number % len(SHAPES)])
        view = arena.frame(frame.slot, frame.index, frame.height, frame.width)
        view[...] = 0
        view[0, 0, :2] = frame.slot, frame.index
        frames.append(frame)
    return frames


def embedder_of(network, arena, *, threads: int = 2, chunk: int = 4) -> InProcessEmbedder:
    return InProcessEmbedder(network, arena, threads=threads, chunk=chunk)


@pytest.mark.parametrize("count", [1, 2, 3, 17, 40])
@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_embeddings_come_in_the_order_of_the_frames(arena, count, chunk) -> None:
    network = Numbered()
    embedder = embedder_of(network, arena, chunk=chunk)
    frames = frames_in(arena, count)
    np.random.default_rng(count).shuffle(frames)
    rows = embedder.submit(frames).result(60)
    embedder.close()
    assert rows.dtype == np.float32
    assert rows.tolist() == [[frame.slot, frame.index] for frame in frames]
    assert max(len(batch) and batch[0] for batch in network.batches) <= chunk


def test_a_forward_pass_has_one_shape_and_passes_are_about_equal(arena) -> None:
    network = Numbered()
    embedder = embedder_of(network, arena, chunk=4)
    embedder.submit(frames_in(arena, 27)).result(60)
    embedder.close()
    by_shape = {shape: [] for shape in SHAPES}
    for count, height, width, _ in network.batches:
        by_shape[height, width].append(count)
    assert list(map(sorted, by_shape.values())) == [[3, 3, 3]] * len(SHAPES)


def test_no_frames_give_no_embeddings(arena) -> None:
    embedder = embedder_of(Numbered(), arena)
    assert embedder.submit([]).result(60).shape[0] == 0
    embedder.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadNetwork("embeddings that are not finite"), "not finite"),
        (RuntimeError("CUDA out of memory\nand a page of advice"), "CUDA out of memory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_network_that_fails_is_unavailable_in_one_line(arena, error, said) -> None:
    embedder = embedder_of(Failing(error), arena)
    with pytest.raises(Unavailable, match=said) as caught:
        embedder.submit(frames_in(arena, 9)).result(60)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error
    embedder.close()


def test_a_mistake_of_the_caller_is_no_failure_of_the_network(arena) -> None:
    embedder = embedder_of(Numbered(), arena)
    with pytest.raises(ValueError, match="slot 99"):
        embedder.submit([Frame(99, 0, 8, 8)]).result(60)
    embedder.close()


def test_closing_cancels_what_has_not_begun_and_nothing_is_taken_after(arena) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Numbered):
        def embed(self, pixels: np.ndarray) -> np.ndarray:
            begun.set()
            assert go_on.wait(60)
            return super().embed(pixels)

    embedder = embedder_of(Slow(), arena, threads=1)
    first, second = (embedder.submit(frames_in(arena, 1)) for _ in range(2))
    assert begun.wait(60)
    closing = threading.Thread(target=embedder.close)
    closing.start()
    with pytest.raises(CancelledError):
        second.result(60)
    go_on.set()
    closing.join(60)
    assert first.result(60).shape == (1, 2)
    with pytest.raises(Unavailable, match="closed"):
        embedder.submit(frames_in(arena, 1))


class Described(Numbered):
    """A network with regions: a frame's embedding, then that of each region with its number."""

    spec = SimpleNamespace(input=SimpleNamespace(sizes=SHAPES))

    def boxes(self, height: int, width: int) -> np.ndarray:
        return np.zeros((width // 4, 4))

    def describe_rows(self, pixels: np.ndarray, *, regions: bool) -> np.ndarray:
        if not regions:
            return super().describe_rows(pixels, regions=False)
        count = 1 + len(self.boxes(*pixels.shape[1:3]))
        rows = np.repeat(self.embed(pixels)[:, None], count, axis=1)
        return np.concatenate([rows, np.indices(rows.shape[:2])[1][..., None]], axis=2)


@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_regions_follow_their_frame_whatever_the_chunks_and_shapes(arena, chunk) -> None:
    network = Described()
    embedder = InProcessEmbedder(network, arena, threads=2, chunk=chunk, regions=True)
    assert {shape: len(boxes) for shape, boxes in embedder.boxes.items()} == {
        (8, 8): 2, (4, 16): 4, (16, 4): 1,
    }  # fmt: skip
    frames = frames_in(arena, 40)
    np.random.default_rng(chunk).shuffle(frames)
    rows = embedder.submit(frames).result(60)
    embedder.close()
    assert rows.dtype == np.float32
    assert rows.tolist() == [
        [frame.slot, frame.index, region]
        for frame in frames
        for region in range(1 + frame.width // 4)
    ]
    # One forward pass gives a frame and its regions.
    assert sum(batch[0] for batch in network.batches) == len(frames)


def test_regions_that_are_not_asked_for_are_not_given(arena) -> None:
    embedder = InProcessEmbedder(Described(), arena, threads=1, chunk=4)
    assert embedder.boxes == {}
    assert embedder.submit(frames_in(arena, 3)).result(60).shape == (3, 2)
    embedder.close()
