"""The names of the topics, and what creating them gives them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from moderator.concerns.concern import Concern
from moderator.values import Name, Seconds


class Topics(Concern):
    """The names of the topics, and what `moderator topics create` gives them."""

    posts_topic: Name = Field(default="posts", description="Topic of incoming posts.")
    decisions_topic: Name = Field(default="decisions", description="Topic of decisions.")
    flagged_topic: Name = Field(default="flagged", description="Topic of flagged posts' decisions.")
    dead_letter_topic: Name = Field(
        default="posts.dead-letter", description="Topic of records that could not be judged."
    )
    deletions_topic: Name = Field(
        default="posts.deletions",
        description="Topic of deleted posts whose copies could not be removed yet, used with "
        "evidence_url. It belongs to one group alone.",
    )
    prototypes_topic: Name | Literal[""] = Field(
        default="prototypes",
        description="Compacted topic of prototypes added and removed; empty: none.",
    )
    control_topic: Name | Literal[""] = Field(
        default="control",
        description="Compacted topic that says which release each group serves; empty: none, "
        "and members serve their setting `release`.",
    )
    shadow_topic: Name | Literal[""] = Field(
        default="decisions.shadow",
        description="Topic of what a shadow release would have decided; empty: no shadowing.",
    )
    partitions: int = Field(
        default=12, ge=1, le=10_000, description="Partitions `topics create` gives."
    )
    replication: int = Field(default=3, ge=1, le=10, description="Replicas `topics create` gives.")
    min_insync_replicas: int = Field(
        default=2, ge=1, le=10, description="As `topics create` sets it."
    )
    retention: Seconds = Field(
        default=86_400 * 7,
        ge=60,
        le=86_400 * 3650,
        description="Seconds that posts and decisions are kept.",
    )

    @model_validator(mode="after")
    def _replicas_in_order(self) -> Self:
        if self.min_insync_replicas > self.replication:
            raise ValueError(
                f"min_insync_replicas ({self.min_insync_replicas}) must be at most replication "
                f"({self.replication})"
            )
        return self
