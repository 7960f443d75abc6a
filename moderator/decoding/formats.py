"""Tell the format of a file by its first bytes, and open it with that format's decoder alone."""

import io
from collections.abc import Callable

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from moderator.decoding import heif

# The plugins' own classes instead of Image.open: exactly one decoder sees the file, and a JPEG that
# holds further pictures (MPO: depth maps, previews) is the JPEG that viewers show.
DECODERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "HEIC": heif.opened,
}

BEGINNINGS: dict[str, bytes | tuple[bytes, ...]] = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "BMP": b"BM",
}

# One image at a time in a process, as many processes as cores: threads would only compete.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def sniff(data: bytes) -> str | None:
    """Return the format that the first bytes show, one of ``DECODERS``; None for any other."""
    for kind, beginnings in BEGINNINGS.items():
        if data.startswith(beginnings):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if any(brand in (b"avif", b"avis") for brand in brands):
        return "AVIF"
    return "HEIC" if heif.is_heic(brands) else None


def _brands(data: bytes) -> list[bytes]:
    """Return the major brand of a file of boxes, its version, and its compatible brands."""
    if data[4:8] != b"ftyp":
        return []
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return [brands[at : at + 4] for at in range(0, len(brands), 4)]
