"""Compose records of the posts topic from images. Knows nothing of how they are sent."""

import base64
import json
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moderator.records import Headers

Form = Literal["binary", "json"]

MEDIA_TYPES = {".webp": "image/webp", ".avif": "image/avif"}
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
