"""The network behind a seam: submit frames that lie in shared memory, take embeddings later.

Knows nothing of posts, decisions or Kafka.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.network import RetrievalNetwork
from moderator.errors import Unavailable
from moderator.rows import Boxes
from moderator.slots import SlotArena

Embeddings = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a decoded frame lies: slot, number within it, and its size in pixels."""

    slot: int
    index: int
    height: int
    width: int


class Embedder(Protocol):
    """The network as the pipeline sees it, in this process or another (design section 4)."""

    @property
    def boxes(self) -> Boxes:
        """The regions of each size of frame."""
        ...

    def submit(self, frames: Sequence[Frame], *, regions: bool = True) -> Future[Embeddings]:
        """Begin to embed frames; their slots must stay as they are until the result is there.

        Args:
            frames: Where they lie.
            regions: Embed their regions as well, where regions are judged at all.

        Returns:
            A future of float32[rows, D + C]: of each frame, in their order, its own row and then
            those of its regions, each an L2-normalised embedding and then the C logits of the
            release's head, if it has one. It raises ``Unavailable`` where the network fails
            or cannot be had any more, wherever it runs.

        Raises:
            Unavailable: It cannot be had any more, which is known at once.
        """
        ...

    def close(self) -> None:
        """Stop; futures not done yet are cancelled."""
        ...


class InProcessEmbedder:
    """The network in this process.

    On a CPU, chunks of a batch run side by side, each on one thread: without the barriers of
    threads that share one operation, several chunks use cores better that other processes use
    too. On a GPU, each shape of a batch is one forward pass.

    Args:
        network: In evaluation mode, on its device.
        arena: Where the frames lie.
        threads: Chunks that run at once on a CPU.
        chunk: Most images of one forward pass; it bounds the memory of activations.
        regions: Give the embeddings of regions as well, from the same forward pass.
    """

    def __init__(
        self,
        network: RetrievalNetwork,
        arena: SlotArena,
        *,
        threads: int,
        chunk: int,
        regions: bool = False,
    ) -> None:
        sizes = network.spec.input.sizes if regions else ()
        self.boxes: Boxes = {size: network.boxes(*size) for size in sizes}
        self._network = network
        self._arena = arena
        self._chunk = chunk
        self._closed = False
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="embed")

    def submit(self, frames: Sequence[Frame], *, regions: bool = True) -> Future[Embeddings]:
        """See ``Embedder.submit``."""
        if self._closed:
            raise Unavailable("the network is closed")
        result: Future[Embeddings] = Future()
        chunks = _chunks(frames, self._chunk)
        boxes = self.boxes if regions else {}
        counts = [rows_of(frame, boxes) for frame in frames]
        gathered = _Gathered(result, counts, len(chunks))
        for places in chunks:
            part = [frames[place] for place in places]
            task = self._threads.submit(self._embed, part, regions=bool(boxes))
            task.add_done_callback(partial(gathered.add, places))
        return result

    def _embed(self, frames: Sequence[Frame], *, regions: bool) -> Embeddings:
        """Return float32[F, rows, D + C] of frames of one shape."""
        pixels = np.stack([self._arena.frame(f.slot, f.index, f.height, f.width) for f in frames])
        try:
            return self._network.describe_rows(pixels, regions=regions)
        except (ModelError, RuntimeError, MemoryError) as error:
            # What torch raises where memory or the device fails is a RuntimeError.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise Unavailable(f"the network failed: {reason}") from error

    def close(self) -> None:
        """See ``Embedder.close``."""
        self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)


def rows_of(frame: Frame, boxes: Boxes) -> int:
    """Return how many embeddings a frame gets: its own and one for each of its regions."""
    return 1 + len(boxes[frame.height, frame.width]) if boxes else 1


def _chunks(frames: Sequence[Frame], most: int) -> list[list[int]]:
    """Return the frames of each forward pass: of one shape, about equal parts of ``most`` at most.

    Frames are named by their places among all.
    """
    shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        shapes[frame.height, frame.width].append(place)
    chunks: list[list[int]] = []
    for places in shapes.values():
        parts = -(-len(places) // most)
        chunks.extend(places[part::parts] for part in range(parts))
    return chunks


class _Gathered:
    """Chunks' embeddings put back into the order of the frames.

    Args:
        result: What is completed.
        counts: How many rows each frame has.
        chunks: How many there are.
    """

    def __init__(self, result: Future[Embeddings], counts: Sequence[int], chunks: int) -> None:
        self._result = result
        *self._firsts, self._rows = accumulate(counts, initial=0)
        self._left = chunks
        self._embeddings: Embeddings | None = None
        self._lock = threading.Lock()
        if chunks == 0:
            result.set_result(np.zeros((0, 0), np.float32))

    def add(self, places: Sequence[int], done: Future[Embeddings]) -> None:
        """Take the embeddings of some frames; the last ones complete the result."""
        with self._lock:
            if self._result.done():
                return
            if done.cancelled():
                self._result.cancel()
                return
            error = done.exception()
            if error is not None:
                self._result.set_exception(error)
                return
            part = done.result()
            if self._embeddings is None:
                self._embeddings = np.empty((self._rows, part.shape[2]), np.float32)
            firsts = np.array([self._firsts[place] for place in places])
            self._embeddings[firsts[:, None] + np.arange(part.shape[1])] = part
            self._left -= 1
            if self._left == 0:
                self._result.set_result(self._embeddings)
