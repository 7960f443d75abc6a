"""When a prototype flags far more than its history."""

from typing import Self

from pydantic import Field, model_validator

from moderator.concerns.concern import Concern
from moderator.values import Seconds


class Flood(Concern):
    """When a prototype flags far more than its history, so that its flags are marked."""

    flood_least: int = Field(
        default=50,
        ge=0,
        le=1_000_000,
        description="Flags of one prototype within flood_window under which it floods nothing; "
        "0: floods are not looked for.",
    )
    flood_share: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="Share of all posts within flood_window that a flood takes at least.",
    )
    flood_factor: float = Field(
        default=10.0,
        ge=1,
        le=1e6,
        description="Times its usual share of posts that a prototype flags at least in a flood.",
    )
    flood_window: Seconds = Field(
        default=600.0, ge=1, le=86_400, description="Seconds in which flags are counted."
    )
    flood_history: Seconds = Field(
        default=86_400.0,
        ge=60,
        le=86_400 * 90,
        description="Seconds after which what is usual counts for half.",
    )
    flood_quiet: Seconds = Field(
        default=900.0,
        ge=1,
        le=86_400 * 7,
        description="Seconds without flooding after which a prototype is let go; at least "
        "flood_window.",
    )
    flood_prototypes: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="Prototypes whose flags are counted; those that flagged longest ago go first.",
    )

    @model_validator(mode="after")
    def _quiet_outlasts_the_window(self) -> Self:
        if self.flood_quiet < self.flood_window:
            raise ValueError(
                f"flood_quiet ({self.flood_quiet:g} s) must be at least flood_window "
                f"({self.flood_window:g} s)"
            )
        return self
