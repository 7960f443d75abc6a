"""Decode processes that make safe copies of images. Knows nothing of where copies are kept.

They are a pool of their own, so that copies never wait behind images that are to be judged, nor
these behind copies; all that holds for a bad image in the one pool holds here.
"""

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from models.spec import InputSpec
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoder import Decoded, DecodeLimits, Decoder, Job
from moderator.decoding.decoders import DecodePool
from moderator.decoding.safe_copy import is_plain
from moderator.decoding.view import View
from moderator.slots import CHANNELS, SlotArena

SLOTS = 4
"""Copies on their way from a process: one read, one made, and some that nobody waits for."""


def slots_of_copies(processes: int) -> int:
    """Return how many slots a pool of so many processes has, besides those of each process."""
    return processes + SLOTS


def copy_bytes(max_side: int) -> int:
    """Return the bytes that a copy of this longest side may have."""
    return max_side * max_side * CHANNELS


class CopyPool(DecodePool):
    """Makes safe copies in processes of its own.

    Args:
        spec: The input of the network; only its form is needed.
        processes: How many processes there are.
        limits: What an image may take.
        max_side: Longest side of a copy in pixels.
    """

    def __init__(
        self, spec: InputSpec, *, processes: int, limits: DecodeLimits, max_side: int
    ) -> None:
        self._max_side = max_side
        self._copies = SlotArena(slots_of_copies(processes), copy_bytes(max_side))
        super().__init__(self._copies, spec, processes=processes, limits=limits, copy_side=max_side)

    def copied(self, data: bytes, view: View, timeout: float) -> bytes:
        """Return the copy of a view's whole frame, a JPEG; see ``safe_copy``.

        Raises:
            Undecodable: The bytes are no image that is judged, or what came back is no copy.
            TimeoutError: It took longer than ``timeout`` seconds.
            CancelledError: The pool is closed.
        """
        making = self.submit(data, view=view)
        try:
            decoded = making.result(timeout)
        except FutureTimeoutError:
            if not making.cancel():
                making.add_done_callback(self._dropped)
            raise
        try:
            ((_, length),) = decoded.layout.sizes
            copy = self._copies.buffer(decoded.slot)[:length].tobytes()
        finally:
            self.release(decoded.slot)
        if not is_plain(copy, (decoded.layout.width, decoded.layout.height)):
            raise Undecodable("crash")
        return copy

    def close(self) -> None:
        """End the processes; copies not made yet are cancelled."""
        super().close()
        self._copies.close()

    def _dropped(self, making: "Future[Decoded]") -> None:
        if not making.cancelled() and making.exception() is None:
            self.release(making.result().slot)

    def _take_over(self, decoder: Decoder, job: Job, decoded: Decoded) -> None:
        """Copy the bytes of a copy."""
        ((_, length),) = decoded.layout.sizes
        theirs = decoder.room.buffer(job.place)[:length]
        self._copies.buffer(job.slot)[:length] = theirs
        theirs.fill(0)

    def _plausible(self, decoded: Decoded) -> bool:
        """Whether it is what a copy can be: its size within bounds, its bytes within a slot."""
        layout = decoded.layout
        within = all(1 <= side <= self._max_side for side in (layout.width, layout.height))
        match layout.sizes:
            case ((1, length),):
                return within and 0 < length <= self._copies.slot_bytes
        return False
