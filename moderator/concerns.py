"""The settings of every part, one class per concern, with their units, bounds and defaults.

Knows nothing of where values come from or of what the parts do with them.
"""

import os
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from moderator.values import (
    Action,
    Brokers,
    Hosts,
    Name,
    PresentFile,
    Seconds,
    Stores,
    Version,
)

STARTER = Path(__file__).resolve().parent.parent / "models" / "starter"


class Concern(BaseModel):
    """Settings that belong together; immutable, and nothing but what is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object, info: ValidationInfo) -> object:
        """Take an empty text as None where that is allowed: no environment nor TOML has one."""
        field = cls.model_fields[info.field_name or ""]
        return None if value == "" and type(None) in get_args(field.annotation) else value


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


class Topics(Concern):
    """The names of the topics, and what `moderator topics create` gives them."""

    posts_topic: Name = Field(default="posts", description="Topic of incoming posts.")
    decisions_topic: Name = Field(default="decisions", description="Topic of decisions.")
    flagged_topic: Name = Field(default="flagged", description="Topic of flagged posts' decisions.")
    dead_letter_topic: Name = Field(
        default="posts.dead-letter", description="Topic of records that could not be judged."
    )
    prototypes_topic: Name | Literal[""] = Field(
        default="prototypes",
        description="Compacted topic of prototypes added and removed; empty: none.",
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


class Limits(Concern):
    """What a post and an image may be; beyond it they are decided without being judged."""

    max_post_bytes: int = Field(
        default=8 * 2**20, ge=1024, le=2**30, description="Bytes of a post's record (value)."
    )
    max_images_per_post: int = Field(default=20, ge=1, le=1000, description="Images of a post.")
    max_image_pixels: int = Field(
        default=64_000_000, ge=10_000, description="Pixels of an image as its header states them."
    )
    max_frames: int = Field(default=3, ge=1, le=16, description="Frames judged of an animation.")
    decode_timeout: Seconds = Field(
        default=5.0, gt=0, description="Seconds an image may take to decode."
    )
    decode_memory: int = Field(
        default=2 * 2**30,
        ge=2**28,
        description="Bytes of address space that a decode process may take on top of what it has "
        "at its start.",
    )


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
    fetch_connections: int = Field(default=16, ge=1, le=256, description="Images fetched at once.")


class Pipeline(Concern):
    """Batching, queues, processes and the device."""

    max_batch: int = Field(default=32, ge=1, le=1024, description="Images at which a batch closes.")
    max_wait: Seconds = Field(
        default=0.1, description="Seconds after its first post at which a batch closes."
    )
    batches_in_flight: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Batches between reading and publishing; then reading pauses.",
    )
    max_inflight_bytes: int = Field(
        default=64 * 2**20,
        ge=2**20,
        description="Bytes of posts read and not yet published, about; then reading pauses.",
    )
    decode_processes: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        ge=1,
        le=128,
        description="Processes that decode images.",
    )
    device: str = Field(
        default="auto",
        description="What the network runs on: auto, cpu, cuda or one such as cuda:1.",
    )
    embed_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Threads of the forward pass on a CPU.",
    )
    embedder: Literal["in-process", "process"] = Field(
        default="in-process",
        description="Where the network runs: in-process, or in a process of its own (process).",
    )
    drain_timeout: Seconds = Field(
        default=20.0, gt=0, description="Seconds that finishing may take after SIGTERM."
    )


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


class Cache(Concern):
    """Embeddings of pictures seen before."""

    redis_url: SecretStr | None = Field(
        default=None, description="redis:// or rediss:// URL; none: process memory."
    )
    redis_timeout: Seconds = Field(
        default=0.25, gt=0, description="Seconds an answer of Redis may take."
    )
    cache_ttl: Seconds = Field(
        default=86_400, gt=0, le=86_400 * 90, description="Seconds kept in Redis."
    )
    cache_entries: int = Field(
        default=20_000, ge=0, le=10_000_000, description="Pictures kept in process memory; 0: none."
    )

    @field_validator("redis_url")
    @classmethod
    def _a_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        known = ("redis://", "rediss://", "unix://")
        if url is not None and not url.get_secret_value().startswith(known):
            raise ValueError("it must begin with redis://, rediss:// or unix://")
        return url


class Serving(Concern):
    """The port for metrics and probes, and the log."""

    http_host: str = Field(
        default="127.0.0.1", description="Address /metrics and the probes listen on."
    )
    http_port: int = Field(
        default=9108,
        ge=0,
        le=65_535,
        description="Port of /metrics, /livez, /readyz; 0: any free one.",
    )
    stall_timeout: Seconds = Field(
        default=30.0,
        ge=5,
        description="Seconds without progress of the poll loop or a commit until /livez fails.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Format of log lines: text or json."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged: DEBUG, INFO, WARNING or ERROR."
    )


CONCERNS: dict[str, type[Concern]] = {
    "kafka": Kafka,
    "topics": Topics,
    "limits": Limits,
    "fetch": Fetch,
    "pipeline": Pipeline,
    "judging": Judging,
    "cache": Cache,
    "serving": Serving,
}


class Settings(Concern):
    """All settings, by concern; names are unique over all of them."""

    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    limits: Limits = Limits()
    fetch: Fetch = Fetch()
    pipeline: Pipeline = Pipeline()
    judging: Judging = Judging()
    cache: Cache = Cache()
    serving: Serving = Serving()
