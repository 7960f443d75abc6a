"""How many pixels a file may hold: bounded by the memory they take and by the file's size."""

BYTES_PER_PIXEL = {
    "JPEG": 15,
    "PNG": 18,
    "WEBP": 28,
    "GIF": 18,
    "BMP": 14,
    "TIFF": 26,
    "AVIF": 22,
    "HEIC": 18,
}
"""Bytes of memory that decoding takes at its peak for each pixel, in the costliest mode.

Measured as the growth of the address space with pictures of 4 to 16 million pixels, and rounded up:
JPEG 14.9 (with a steep colour profile), PNG 17.0 (22.3 with a colour profile: the largest of those
end as ``memory``), WebP 26.7, GIF 14.0 and AVIF 20.8 (transparent: the decoder's own canvases,
Pillow's image, and what it shows on white and on black), HEIC 17.4 (transparent), BMP 8.2, TIFF
25.2 (32-bit grey, stretched as floats).
"""

RESERVE = 32 * 2**20
"""Bytes of a decode process's memory that are not for pixels: the file, tables and small objects.
"""

FREE_PIXELS = 4096 * 4096
"""Pixels that any file may hold: more than most screens and cameras have."""

PIXELS_PER_BYTE = 4096
"""Pixels beyond ``FREE_PIXELS`` that a file may hold for each of its bytes.

10,884 photographs have 1.2 to 36 pixels a byte. Uniform pictures of 12 million pixels have 64 to
254 as JPEG, 226 to 756 as PNG, 1,240 as GIF and 2,640 as PNG of one bit, and stay judged at any
size. In WebP and AVIF they have 7,000 to 23,000, and 46 bytes can state 64 million pixels.
"""


def most_pixels(kind: str, length: int, max_pixels: int, memory: int | None) -> int:
    """Return how many pixels a frame of a file may have.

    Args:
        kind: Format of the file, one of ``BYTES_PER_PIXEL``.
        length: Bytes of the file.
        max_pixels: Most pixels of any image.
        memory: Bytes that decoding may take; None: without limit.
    """
    most = min(max_pixels, FREE_PIXELS + PIXELS_PER_BYTE * length)
    if memory is None:
        return most
    return min(most, max(0, memory - RESERVE - length) // BYTES_PER_PIXEL[kind])
