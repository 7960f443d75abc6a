"""Sound files of every format and of most of their variants, to be damaged. Not a test itself."""

import functools
import io
import struct

import numpy as np
from PIL import Image, ImageCms

from tests.moderator.pictures import animation, encoded, picture
from tests.moderator.profiles import STEP, gama, of_curve, of_grey, of_table, with_chunks

KINDS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIC", "TIFF")


@functools.cache
def sources(kind: str) -> tuple[bytes, ...]:
    """Return sound files of one format, always the same ones."""
    return tuple(MAKERS[kind]())


def _noisy(width: int = 96, height: int = 72) -> Image.Image:
    """Something that does not compress to nothing, so that there is something to damage."""
    noise = np.random.default_rng(5).integers(0, 60, (height, width, 3), np.uint8)
    return Image.fromarray(np.asarray(picture(width, height)) + noise % 25)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    return exif


def _jpegs() -> list[bytes]:
    image, profile = _noisy(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = [
        {},
        {"progressive": True},
        {"subsampling": 0, "optimize": True},
        {"exif": _exif(), "icc_profile": profile, "comment": b"of no use"},
        {"restart_marker_blocks": 2},
        {"restart_marker_rows": 1, "progressive": True},
    ]
    files = [encoded(image, "JPEG", **each) for each in options]
    files += [encoded(image.convert(mode), "JPEG") for mode in ("L", "CMYK")]
    files += [
        encoded(image, "JPEG", icc_profile=of_curve(STEP)),
        encoded(image.convert("CMYK"), "JPEG", icc_profile=of_table(b"CMYK", STEP)),
    ]
    return [*files, encoded(_noisy(900, 700), "JPEG", progressive=True, quality=60)]


def _pngs() -> list[bytes]:
    from PIL.PngImagePlugin import PngInfo

    image, text = _noisy(), PngInfo()
    text.add_text("Comment", "of no use " * 50, zip=True)
    text.add_itxt("Title", "none", zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = [
        encoded(image, "PNG"),
        encoded(image, "PNG", pnginfo=text, icc_profile=profile, exif=_exif()),
        encoded(image.quantize(60), "PNG", transparency=3),
        encoded(Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257), "PNG"),
        encoded(image.convert("L"), "PNG", icc_profile=of_grey(STEP)),
        with_chunks(encoded(image, "PNG"), gama(0.2), (b"cICP", bytes((9, 16, 0, 1)))),
        animation("PNG", 4),
    ]
    return files + [encoded(image.convert(mode), "PNG") for mode in ("1", "LA", "RGBA")]


def _gifs() -> list[bytes]:
    image = _noisy()
    interlaced = encoded(image, "GIF", interlace=True, comment=b"of no use")
    local = encoded(image, "GIF", save_all=True, append_images=[picture(96, 72), image], loop=3)
    return [encoded(image, "GIF", interlace=False), interlaced, local, animation("GIF", 6)]


def _webps() -> list[bytes]:
    image = _noisy()
    return [
        encoded(image, "WEBP"),
        encoded(image, "WEBP", lossless=True, exif=_exif()),
        encoded(image.convert("RGBA"), "WEBP", quality=50, icc_profile=of_table(b"RGB ", STEP)),
        animation("WEBP", 5),
        encoded(image, "WEBP", save_all=True, append_images=[picture(96, 72)], lossless=True),
    ]


def _avifs() -> list[bytes]:
    image = _noisy()
    return [
        encoded(image, "AVIF", speed=10),
        encoded(image.convert("RGBA"), "AVIF", speed=10, exif=_exif()),
        encoded(image, "AVIF", speed=10, subsampling="4:4:4", range="limited"),
        animation("AVIF", 3),
    ]


def _heics() -> list[bytes]:
    from pillow_heif import from_pillow

    def heic(source: Image.Image, **options: object) -> bytes:
        file = io.BytesIO()
        from_pillow(source).save(file, format="HEIF", **options)
        return file.getvalue()

    image = _noisy()
    return [
        heic(image),
        heic(image, exif=_exif().tobytes()),
        heic(image, icc_profile=of_curve(STEP)),
        heic(image.convert("RGBA")),
        heic(picture(600, 400), tile_size=256),
    ]


def _tiffs() -> list[bytes]:
    image = _noisy()
    compressions = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    files = [encoded(image, "TIFF", compression=each) for each in compressions]
    files += [
        encoded(image.convert("1"), "TIFF", compression=each) for each in ("group3", "group4")
    ]
    files += [encoded(image.convert(mode), "TIFF") for mode in ("L", "CMYK", "LAB", "F", "I", "P")]
    files.append(encoded(image, "TIFF", compression="tiff_lzw", strip_size=500))
    files.append(encoded(image.convert("CMYK"), "TIFF", icc_profile=of_table(b"CMYK", STEP)))
    return [*files, animation("TIFF", 4), _big_endian()]


def _big_endian() -> bytes:
    """A grey TIFF of high bytes first, which Pillow reads but never writes."""
    width, height = 64, 48
    body = bytes(n % 251 for n in range(width * height))
    entries = [
        (256, 3, 1, width << 16),
        (257, 3, 1, height << 16),
        (258, 3, 1, 8 << 16),
        (259, 3, 1, 1 << 16),
        (262, 3, 1, 1 << 16),
        (273, 4, 1, 8),
        (277, 3, 1, 1 << 16),
        (278, 3, 1, height << 16),
        (279, 4, 1, len(body)),
    ]
    table = struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHII", *e) for e in entries)
    return struct.pack(">2sHI", b"MM", 42, 8 + len(body)) + body + table + bytes(4)


MAKERS = {
    "JPEG": _jpegs,
    "PNG": _pngs,
    "GIF": _gifs,
    "WEBP": _webps,
    "AVIF": _avifs,
    "HEIC": _heics,
    "TIFF": _tiffs,
}
