"""What a post and an image may be."""

from typing import Literal

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Seconds


class Limits(Concern):
    """What a post and an image may be; beyond it they are decided without being judged."""

    max_post_bytes: int = Field(
        default=8 * 2**20, ge=1024, le=2**30, description="Bytes of a post's record (value)."
    )
    max_images_per_post: int = Field(default=20, ge=1, le=1000, description="Images of a post.")
    max_image_pixels: int = Field(
        default=64_000_000, ge=10_000, description="Pixels of an image as its header states them."
    )
    max_frames: int = Field(
        default=3,
        ge=1,
        le=16,
        description="Frames judged of an animation: the first, the one longest in "
        "view, and others by chance, those shown longer and looking different before others.",
    )
    decode_timeout: Seconds = Field(
        default=4.0, gt=0, description="Seconds an image may take to decode."
    )
    decode_memory: int = Field(
        default=2 * 2**30,
        ge=2**28,
        description="Bytes of address space that a decode process may take on top of what it has "
        "at its start.",
    )
    decode_sandbox: Literal["required", "preferred", "off"] = Field(
        default="preferred",
        description="Whether decode processes are kept from networks, files and other processes "
        "(seccomp): required refuses to start where the kernel cannot, preferred warns, off "
        "does not try.",
    )
