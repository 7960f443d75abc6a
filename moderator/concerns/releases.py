"""Where releases come from when the control topic names them, and what a shadow may take."""

from pathlib import Path

from pydantic import Field

from moderator.concerns.concern import Concern


class Releases(Concern):
    """Where releases come from, and what a shadow release may take."""

    releases_url: str | None = Field(
        default=None,
        description="Folder of releases, or its URL (fsspec), such as s3://bucket/releases; from "
        "there members take what the control topic names. None: the folder of `release`.",
    )
    releases_cache: Path = Field(
        default=Path("~/.cache/moderator/releases"),
        description="Folder that releases fetched from a URL are kept in.",
    )
    shadow_batches: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Batches that a shadow release may lag behind; then batches pass it by.",
    )
