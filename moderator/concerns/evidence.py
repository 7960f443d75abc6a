"""Safe copies of images, for people to look at."""

from typing import Literal

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Place, Seconds


class Evidence(Concern):
    """Safe copies of images, for people to look at."""

    evidence_url: Place | None = Field(
        default=None,
        description="Where safe copies are kept: a folder, or a place in an object store (fsspec) "
        "such as s3://bucket/evidence. None: no copies are made.",
    )
    evidence_of: Literal["flagged", "all"] = Field(
        default="flagged", description="Posts whose images are copied: flagged or all."
    )
    evidence_max_side: int = Field(
        default=1280, ge=64, le=4096, description="Longest side of a copy in pixels."
    )
    evidence_retention: Seconds = Field(
        default=86_400 * 30,
        ge=60,
        le=86_400 * 3650,
        description="Seconds that a copy is kept, and that a post's deletion is remembered.",
    )
    evidence_sweep: Seconds = Field(
        default=21_600.0,
        description="Seconds between sweeps by the members; 0: none, where `moderator evidence "
        "sweep` does it.",
    )
    evidence_timeout: Seconds = Field(
        default=2.0,
        gt=0,
        le=10,
        description="Seconds that a batch waits for its copies; those not there by then are null.",
    )
    evidence_connections: int = Field(default=8, ge=1, le=64, description="Copies written at once.")
