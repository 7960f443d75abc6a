"""Compose records of the posts topic from image files. Knows nothing of how they are sent."""

import base64
import errno
import json
import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Literal

from moderator.errors import BadInput
from moderator.records import Headers

Form = Literal["binary", "json"]

MEDIA_TYPES = {
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
}
"""What the standard library does not know of in every version."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image's bytes with the id that the post gives it and its media type."""

    image_id: str
    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class PostRecord:
    """A record of the posts topic, ready to be sent."""

    key: bytes
    value: bytes
    headers: Headers


def media_type(path: Path) -> str:
    """Return the media type that a file's name stands for, ``image/unknown`` where it says none."""
    known = mimetypes.guess_type(path.name)[0] or ""
    if known.startswith("image/"):
        return known
    return MEDIA_TYPES.get(path.suffix.lower(), "image/unknown")


def build_record(
    images: Sequence[NamedImage],
    *,
    post_id: str,
    form: Form,
    author_id: str | None = None,
    created_at: str | None = None,
) -> PostRecord:
    """Return the record of a post.

    Args:
        images: Its images, at least one; exactly one in binary form.
        post_id: Becomes the record's key.
        form: ``binary`` is the image's bytes with headers, ``json`` one object with base64.
        author_id: Who posted it.
        created_at: When, as an RFC 3339 time.

    Raises:
        ValueError: There is no image, or more than one in binary form.
    """
    if not images or (form == "binary" and len(images) != 1):
        raise ValueError(f"{len(images)} images do not fit a post in {form} form")
    named = {"post-id": post_id, "author-id": author_id, "created-at": created_at}
    if form == "binary":
        given = {"content-type": images[0].media_type, **named}
        headers = tuple((name, text.encode()) for name, text in given.items() if text is not None)
        return PostRecord(post_id.encode(), images[0].data, headers)
    body = {name.replace("-", "_"): text for name, text in named.items() if text is not None}
    encoded = [
        {"image_id": image.image_id, "data": base64.b64encode(image.data).decode()}
        for image in images
    ]
    value = json.dumps({**body, "images": encoded}).encode()
    return PostRecord(post_id.encode(), value, (("content-type", b"application/json"),))


def look(paths: Sequence[Path]) -> str | None:
    """Return in one line why the first of some files cannot be read; None where all seem fine."""
    for path in paths:
        try:
            is_folder = S_ISDIR(path.stat().st_mode)
        except OSError as error:
            return _unread(path, error)
        # Not opened, as a pipe could not be read a second time.
        number = errno.EISDIR if is_folder else 0 if os.access(path, os.R_OK) else errno.EACCES
        if number:
            return _unread(path, OSError(number, os.strerror(number)))
    return None


def read_images(paths: Sequence[Path]) -> list[NamedImage]:
    """Read image files.

    Raises:
        BadInput: One of them cannot be read.
    """
    images = []
    for path in paths:
        try:
            images.append(NamedImage(path.name, path.read_bytes(), media_type(path)))
        except OSError as error:
            raise BadInput(_unread(path, error)) from None
    return images


def _unread(path: Path, error: OSError) -> str:
    return f"{path}: {error.strerror}; not posted"


def sized(record: PostRecord, paths: Sequence[Path], most: int) -> PostRecord:
    """Return a record of at most ``most`` bytes.

    Raises:
        BadInput: It has more; the text names its files.
    """
    if len(record.value) > most:
        names = ", ".join(map(str, paths))
        raise BadInput(
            f"{names}: {len(record.value)} bytes in all, over max_post_bytes ({most}); not posted"
        )
    return record
