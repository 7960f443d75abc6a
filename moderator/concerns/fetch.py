"""Images by reference."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from moderator.concerns.concern import Concern
from moderator.values import Hosts, Seconds, Stores


class Fetch(Concern):
    """Images by reference."""

    allowed_hosts: Hosts = Field(
        default=(),
        description="Hosts that images may be fetched from over https; '*.example.org' takes "
        "in subdomains. Empty: none.",
    )
    allowed_root: Path | None = Field(
        default=None, description="Folder that file: URLs must lie under. None: no files."
    )
    allowed_stores: Stores = Field(
        default=(),
        description="URL prefixes of object stores (fsspec), such as s3://bucket/. Empty: none.",
    )
    fetch_timeout: Seconds = Field(
        default=2.0, gt=0, description="Seconds an image may take to arrive."
    )
    host_timeouts: int = Field(
        default=4,
        ge=0,
        le=1000,
        description="Images of a host in a row that do not arrive in time after which its posts no "
        "longer wait for it, until it answers again; 0: they always do.",
    )
    host_pause: Seconds = Field(
        default=5.0, gt=0, description="Seconds between attempts at a host that is not waited for."
    )
    fetch_connections: int = Field(default=16, ge=1, le=256, description="Images fetched at once.")
    fetch_per_host: int | None = Field(
        default=None,
        ge=1,
        le=255,
        description="Of these, from one host; fewer than fetch_connections, so that no host can "
        "take all. None: half of them.",
    )

    @property
    def share(self) -> int:
        """Images fetched from one host at once, 1 or more."""
        return self.fetch_per_host or max(1, self.fetch_connections // 2)

    @model_validator(mode="after")
    def _no_host_takes_all(self) -> Self:
        if self.share >= self.fetch_connections > 1:
            raise ValueError(
                f"fetch_per_host ({self.share}) must be less than fetch_connections "
                f"({self.fetch_connections}), so that no host can take all"
            )
        return self
