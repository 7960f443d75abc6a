"""Decode HEIC, as iPhones write it, by pillow-heif where it is installed; on one thread.

Decode processes can start no threads, and the library that decodes HEVC starts one for every
picture, whatever it is told, although it needs none. So its function that starts them is replaced
by one that starts none, once, before any picture.
"""

import ctypes
import importlib.util
import io
import logging
import mmap
import platform
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageFile

logger = logging.getLogger(__name__)

BRANDS = (b"heic", b"heix", b"heim", b"heis")
"""Brands of a picture in HEVC (ISO/IEC 23008-12, B.4.1); those of sequences are none."""

NO_THREADS = {
    "x86_64": bytes.fromhex("f30f1efa 31c0 c3"),
    "aarch64": bytes.fromhex("5f2403d5 00008052 c0035fd6"),
}
"""Machine code of a function that returns 0 ("done"), with the mark of a place to call."""

PAGE = mmap.PAGESIZE


@lru_cache(maxsize=1)
def decoder() -> type[ImageFile.ImageFile] | None:
    """Return what opens the primary picture of a HEIC; None where HEIC cannot be decoded.

    The first call reads files: a process that will be confined makes it before.
    """
    if importlib.util.find_spec("pillow_heif") is None:
        return None
    from pillow_heif import options
    from pillow_heif.as_plugin import HeifImageFile

    options.DECODE_THREADS = 0
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    try:
        _start_no_threads()
    except OSError as error:
        logger.warning("HEIC is not decoded: %s", error)
        return None

    class PrimaryPicture(HeifImageFile):
        """The primary picture, which viewers show; it comes upright, and others do not count."""

        n_frames = 1
        is_animated = False

        def load(self) -> Any:
            stated = self.size
            loaded = super().load()  # type: ignore[no-untyped-call]
            if self.size != stated:
                raise OSError("the picture has another size than its file says")
            return loaded

        def seek(self, frame: int) -> None:
            if frame:
                raise EOFError("there is one picture")

    return PrimaryPicture


def is_heic(brands: Sequence[bytes]) -> bool:
    """Whether a file of these brands is one that can be decoded here."""
    return any(brand in BRANDS for brand in brands) and decoder() is not None


def opened(file: io.BytesIO) -> ImageFile.ImageFile:
    """Open the primary picture of a HEIC.

    Raises:
        OSError: HEIC cannot be decoded here.
    """
    cls = decoder()
    if cls is None:
        raise OSError("no decoder of HEIC")
    return cls(file)


def _start_no_threads() -> None:
    """Replace the function that starts threads.

    Raises:
        OSError: It cannot be found, or not be written.
    """
    code = NO_THREADS.get(platform.machine())
    if code is None:
        raise OSError(f"there is no code for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    start = ctypes.cast(_library().de265_start_worker_threads, ctypes.c_void_p).value or 0
    first = start // PAGE * PAGE
    span = (start + len(code) - 1) // PAGE * PAGE + PAGE - first
    for access in (mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_EXEC):
        if libc.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(span), access):
            raise OSError("this system does not let its library be kept from starting threads")
        if access & mmap.PROT_WRITE:
            ctypes.memmove(start, code, len(code))


def _library() -> ctypes.CDLL:
    """Return the library that decodes HEVC, which pillow-heif has loaded.

    Raises:
        OSError: It has loaded none that is a file of its own.
    """
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.partition("/")[2]
        if "libde265" in path:
            return ctypes.CDLL("/" + path)
    raise OSError("pillow-heif brings no library that is known")
