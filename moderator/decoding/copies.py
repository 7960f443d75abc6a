"""Decode processes that make safe copies of images. Knows nothing of where copies are kept.

They are a pool of their own, so that copies never wait behind images that are to be judged, nor
these behind copies; all that holds for a bad image in the one pool holds here.
"""

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from models.spec import InputSpec
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoder import Decoded, DecodeLimits
from moderator.decoding.decoders import DecodePool
from moderator.decoding.safe_copy import JFIF, is_plain
from moderator.decoding.view import View
from moderator.slots import CHANNELS, SlotArena

SLOTS = 4
"""Copies on their way from a process: one read, one made, and some that nobody waits for."""


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
        self._copies = SlotArena(processes + SLOTS, max_side * max_side * CHANNELS)
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
        if not is_plain(copy):
            raise Undecodable("crash")
        return copy

    def close(self) -> None:
        """End the processes; copies not made yet are cancelled."""
        super().close()
        self._copies.close()

    def _dropped(self, making: "Future[Decoded]") -> None:
        if not making.cancelled() and making.exception() is None:
            self.release(making.result().slot)

    def _plausible(self, decoded: Decoded) -> bool:
        """Whether it is what a copy can be: its size within bounds, its bytes within a slot."""
        layout = decoded.layout
        within = all(1 <= side <= self._max_side for side in (layout.width, layout.height))
        lengths = [length for rows, length in layout.sizes if rows == 1]
        return within and [len(JFIF) < each <= self._copies.slot_bytes for each in lengths] == [
            True
        ]
