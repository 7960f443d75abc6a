"""How to reach the brokers, and how a member takes part in its group."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from moderator.concerns.concern import Concern
from moderator.values import Brokers, Name, PresentFile, Seconds, Version


class Kafka(Concern):
    """How to reach the brokers, and how this member takes part in its group."""

    bootstrap_servers: Brokers = Field(
        default="localhost:9092", description="Brokers, host:port, comma-separated."
    )
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
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="How to talk to the brokers: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None,
        description="With a SASL_ protocol: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.",
    )
    sasl_username: str | None = Field(default=None, description="SASL user name.")
    sasl_password: SecretStr | None = Field(default=None, description="SASL password.")
    ssl_cafile: PresentFile | None = Field(
        default=None, description="PEM file of the authorities to trust."
    )
    kafka_api_version: Version | None = Field(
        default=None, description="Broker version to assume instead of asking, such as 2.3."
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

    @model_validator(mode="after")
    def _credentials_with_sasl(self) -> Self:
        given = [self.sasl_mechanism, self.sasl_username, self.sasl_password]
        sasl = self.security_protocol.startswith("SASL")
        if sasl and not all(given):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs sasl_mechanism, sasl_username "
                "and sasl_password"
            )
        if any(given) and not sasl:
            raise ValueError(
                f"sasl_ settings need security_protocol SASL_SSL or SASL_PLAINTEXT, not "
                f"{self.security_protocol}"
            )
        return self
