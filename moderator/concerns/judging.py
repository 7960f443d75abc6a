"""The release, and what becomes of posts that cannot be judged."""

from pathlib import Path

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Action

STARTER = Path(__file__).resolve().parents[2] / "models" / "starter"


class Judging(Concern):
    """The release and what becomes of posts that cannot be judged."""

    release: Path = Field(default=STARTER, description="Release directory to serve.")
    on_undecodable: Action = Field(
        default="flag", description="Decision of undecodable images: flag or pass."
    )
    on_unreachable: Action = Field(
        default="flag", description="Decision of images that cannot be fetched: flag or pass."
    )
    on_malformed: Action = Field(
        default="flag", description="Decision of posts that cannot be read: flag or pass."
    )
    on_near_miss: Action = Field(
        default="pass", description="Decision of near misses: flag or pass."
    )
    max_types: int = Field(default=5, ge=1, le=50, description="Types listed in a decision.")
    max_evidence: int = Field(
        default=5, ge=1, le=50, description="Nearest prototypes listed an image."
    )
