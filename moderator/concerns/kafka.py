"""How a member takes part in its group, and how it reaches the brokers."""

from typing import Literal, Self

from pydantic import Field, model_validator

from moderator.concerns.connection import Connection
from moderator.values import Name, Seconds, Texts


class Kafka(Connection):
    """How to reach the brokers, and how this member takes part in its group."""

    group: Name = Field(default="moderator", description="Consumer group id.")
    instance: Name = Field(
        default="0",
        description="Name of this member, stable across restarts and unique in the group; part of "
        "its transactional id.",
    )
    group_instance_id: Name | None = Field(
        default=None,
        description="Static membership (KIP-345): the member keeps its partitions over a "
        "restart shorter than the session time-out.",
    )
    delivery: Literal["exactly-once", "at-least-once"] = Field(
        default="exactly-once",
        description="exactly-once: each batch is one transaction; at-least-once: none, so that a "
        "decision may come twice after a crash.",
    )
    trusted_writers: Texts = Field(
        default=(),
        description="Principals besides this user that may write prototypes and control, such as "
        "User:console; `moderator check` fails where others may.",
    )
    start_from: Literal["earliest", "latest"] = Field(
        default="earliest",
        description="Where a new group starts on a partition without a committed offset: earliest "
        "or latest.",
    )
    session_timeout: Seconds = Field(
        default=30.0,
        ge=6,
        description="Seconds without a heartbeat until the group gives a member up.",
    )
    transaction_timeout: Seconds = Field(
        default=20.0,
        ge=1,
        description="Seconds until the broker aborts an open transaction; at most session_timeout.",
    )
    publish_timeout: Seconds = Field(
        default=10.0,
        gt=0,
        description="Seconds a batch's records may take to be acknowledged; less than "
        "transaction_timeout.",
    )
    start_timeout: Seconds = Field(
        default=15.0,
        description="Seconds to wait for a broker, topic or Redis never reached since start; "
        "0 waits for ever.",
    )

    @model_validator(mode="after")
    def _time_outs_in_order(self) -> Self:
        if self.transaction_timeout > self.session_timeout:
            raise ValueError(
                f"transaction_timeout ({self.transaction_timeout:g} s) must be at most "
                f"session_timeout ({self.session_timeout:g} s)"
            )
        if self.publish_timeout >= self.transaction_timeout:
            raise ValueError(
                f"publish_timeout ({self.publish_timeout:g} s) must be less than "
                f"transaction_timeout ({self.transaction_timeout:g} s)"
            )
        return self
