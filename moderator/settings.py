"""The settings of every part, one class per concern; knows nothing of what the parts do with them.

Values come, the strongest first, from ``--set name=value``, environment variables
``MODERATOR_<NAME>``, a TOML file (``--config`` or ``MODERATOR_CONFIG``) and the defaults here.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from moderator.errors import BadSettings

PREFIX = "MODERATOR_"
STARTER = Path(__file__).resolve().parent.parent / "models" / "starter"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Action = Literal["flag", "pass"]


class _Concern(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Kafka(_Concern):
    """How to reach the brokers, and how this member takes part in its group."""

    bootstrap_servers: str = Field(
        "localhost:9092", min_length=3, description="Brokers, host:port, comma-separated."
    )
    group: Name = Field("moderator", description="Consumer group id.")
    instance: Name = Field(
        "0",
        description="Name of this member, stable across restarts and unique in the group; part of "
        "its transactional id.",
    )
    group_instance_id: Name | None = Field(
        None, description="Static membership (KIP-345): the member keeps its partitions over a "
        "restart shorter than the session time-out."
    )  # fmt: skip
    delivery: Literal["exactly-once", "at-least-once"] = Field(
        "exactly-once", description="exactly-once commits each batch in one transaction."
    )
    start_from: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a new group starts on a partition without a committed offset."
    )
    session_timeout: Seconds = Field(
        30.0, ge=6, description="Seconds without a heartbeat until the group gives a member up."
    )
    transaction_timeout: Seconds = Field(
        20.0, ge=1, description="Seconds until the broker aborts an open transaction; at most "
        "session_timeout."
    )  # fmt: skip
    publish_timeout: Seconds = Field(
        10.0, gt=0, description="Seconds a batch's records may take to be acknowledged; less than "
        "transaction_timeout."
    )  # fmt: skip
    start_timeout: Seconds = Field(
        15.0, description="Seconds to wait for a broker, topic or Redis never reached since start; "
        "0 waits for ever."
    )  # fmt: skip
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Kafka security protocol."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="SASL mechanism, with a SASL_ protocol."
    )
    sasl_username: str | None = Field(None, description="SASL user name.")
    sasl_password: SecretStr | None = Field(None, description="SASL password.")
    ssl_cafile: Path | None = Field(None, description="PEM file of the authorities to trust.")
    kafka_api_version: tuple[int, int] | None = Field(
        None, description="Broker version to assume instead of asking, as [major, minor]."
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
        if self.security_protocol.startswith("SASL") and not (
            self.sasl_mechanism and self.sasl_username and self.sasl_password
        ):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs sasl_mechanism, sasl_username "
                "and sasl_password"
            )
        return self


class Topics(_Concern):
    """The names of the topics, and what `moderator topics create` gives them."""

    posts_topic: Name = Field("posts", description="Topic of incoming posts.")
    decisions_topic: Name = Field("decisions", description="Topic of decisions.")
    flagged_topic: Name = Field("flagged", description="Topic of flagged posts' decisions.")
    dead_letter_topic: Name = Field(
        "posts.dead-letter", description="Topic of records that could not be judged."
    )
    prototypes_topic: Name | Literal[""] = Field(
        "prototypes", description="Compacted topic of prototypes added and removed; empty: none."
    )
    partitions: int = Field(12, ge=1, le=10_000, description="Partitions `topics create` gives.")
    replication: int = Field(3, ge=1, le=10, description="Replicas `topics create` gives.")
    min_insync_replicas: int = Field(2, ge=1, le=10, description="As `topics create` sets it.")
    retention: Seconds = Field(
        86_400 * 7, ge=60, le=86_400 * 3650, description="Seconds that posts and decisions are kept."
    )

    @model_validator(mode="after")
    def _replicas_in_order(self) -> Self:
        if self.min_insync_replicas > self.replication:
            raise ValueError(
                f"min_insync_replicas ({self.min_insync_replicas}) must be at most replication "
                f"({self.replication})"
            )
        return self


class Limits(_Concern):
    """What a post and an image may be; beyond it they are decided without being judged."""

    max_post_bytes: int = Field(
        8 * 2**20, ge=1024, le=2**30, description="Bytes of a post's record (value)."
    )
    max_images_per_post: int = Field(20, ge=1, le=1000, description="Images of a post.")
    max_image_pixels: int = Field(
        64_000_000, ge=10_000, description="Pixels of an image as its header states them."
    )
    max_frames: int = Field(3, ge=1, le=16, description="Frames judged of an animation.")
    decode_timeout: Seconds = Field(5.0, gt=0, description="Seconds an image may take to decode.")
    decode_memory: int = Field(
        2 * 2**30, ge=2**28, description="Bytes of address space of a decode process."
    )


class Fetch(_Concern):
    """Images by reference."""

    allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts that images may be fetched from over https; '*.example.org' takes "
        "in subdomains. Empty: none."
    )  # fmt: skip
    allowed_root: Path | None = Field(
        None, description="Folder that file: URLs must lie under. None: no files."
    )
    allowed_stores: tuple[str, ...] = Field(
        (), description="URL prefixes of object stores (fsspec), such as s3://bucket/. Empty: none."
    )
    fetch_timeout: Seconds = Field(2.0, gt=0, description="Seconds an image may take to arrive.")
    fetch_connections: int = Field(16, ge=1, le=256, description="Images fetched at once.")


class Pipeline(_Concern):
    """Batching, queues, processes and the device."""

    max_batch: int = Field(32, ge=1, le=1024, description="Images at which a batch closes.")
    max_wait: Seconds = Field(
        0.1, description="Seconds after its first post at which a batch closes."
    )
    batches_in_flight: int = Field(
        4, ge=1, le=64, description="Batches between reading and publishing; then reading pauses."
    )
    decode_processes: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        ge=1,
        le=128,
        description="Processes that decode images (default: one a core, 8 at most).",
    )
    device: str = Field("auto", description="Where the network runs: auto, cpu, cuda, cuda:1 …")
    embed_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Threads of the forward pass on a CPU (default: one a core).",
    )
    embedder: Literal["in-process", "process"] = Field(
        "in-process", description="Whether the network has a process of its own."
    )
    drain_timeout: Seconds = Field(
        20.0, gt=0, description="Seconds that finishing may take after SIGTERM."
    )


class Judging(_Concern):
    """The release and what becomes of posts that cannot be judged."""

    release: Path = Field(STARTER, description="Release directory to serve.")
    on_undecodable: Action = Field("flag", description="Decision of undecodable images.")
    on_unreachable: Action = Field("flag", description="Decision of images that cannot be fetched.")
    on_malformed: Action = Field("flag", description="Decision of posts that cannot be read.")
    on_near_miss: Action = Field("pass", description="Decision of near misses.")
    max_types: int = Field(5, ge=1, le=50, description="Types listed in a decision.")
    max_evidence: int = Field(5, ge=1, le=50, description="Nearest prototypes listed an image.")


class Cache(_Concern):
    """Embeddings of pictures seen before."""

    redis_url: SecretStr | None = Field(
        None, description="redis:// or rediss:// URL; none: process memory."
    )
    redis_timeout: Seconds = Field(0.25, gt=0, description="Seconds an answer of Redis may take.")
    cache_ttl: Seconds = Field(86_400, gt=0, le=86_400 * 90, description="Seconds kept in Redis.")
    cache_entries: int = Field(
        20_000, ge=0, le=10_000_000, description="Pictures kept in process memory; 0: none."
    )


class Serving(_Concern):
    """The port for metrics and probes, and the log."""

    http_host: str = Field("127.0.0.1", description="Address /metrics and the probes listen on.")
    http_port: int = Field(
        9108, ge=0, le=65_535, description="Port of /metrics, /livez, /readyz; 0: any free one."
    )
    stall_timeout: Seconds = Field(
        30.0, ge=5, description="Seconds without progress of the poll loop or a commit until "
        "/livez fails."
    )  # fmt: skip
    log_format: Literal["text", "json"] = Field("text", description="Format of log lines.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Log level.")


CONCERNS: dict[str, type[_Concern]] = {
    "kafka": Kafka,
    "topics": Topics,
    "limits": Limits,
    "fetch": Fetch,
    "pipeline": Pipeline,
    "judging": Judging,
    "cache": Cache,
    "serving": Serving,
}


class Settings(_Concern):
    """All settings, by concern; names are unique over all of them."""

    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    limits: Limits = Limits()
    fetch: Fetch = Fetch()
    pipeline: Pipeline = Pipeline()
    judging: Judging = Judging()
    cache: Cache = Cache()
    serving: Serving = Serving()


def fields() -> Iterator[tuple[str, str, Any]]:
    """Yield (concern, name, field) of every setting, in the order of the settings table."""
    for concern, cls in CONCERNS.items():
        for name, field in cls.model_fields.items():
            yield concern, name, field


def load_settings(
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Join overrides, environment and file into settings.

    Args:
        overrides: Setting name to text, as ``--set`` gives them.
        environ: Environment variables; the process's own when None.
        config: TOML file of setting = value.

    Raises:
        BadSettings: A name is unknown or a value is not valid; the text names it and its source.
    """
    environ = os.environ if environ is None else environ
    homes = {name: concern for concern, name, _ in fields()}
    config = config or (Path(environ[f"{PREFIX}CONFIG"]) if f"{PREFIX}CONFIG" in environ else None)
    values: dict[str, dict[str, Any]] = {concern: {} for concern in CONCERNS}
    sources: dict[str, str] = {}
    for source, name, value in _given(overrides or {}, environ, config):
        if name not in homes:
            raise BadSettings(_unknown(source, homes))
        values[homes[name]][name] = value
        sources[name] = source
    return _validated(values, sources)


def _given(
    overrides: Mapping[str, str], environ: Mapping[str, str], config: Path | None
) -> Iterator[tuple[str, str, Any]]:
    """Yield (source, name, value), the weakest source first."""
    if config is not None:
        for name, value in _toml(config).items():
            yield f"{name} in {config}", name, value
    for key, text in environ.items():
        name = key.removeprefix(PREFIX).lower()
        if key.startswith(PREFIX) and name != "config" and not name.startswith("test_"):
            yield key, name, _parsed(name, text)
    for name, text in overrides.items():
        yield f"--set {name}", name, _parsed(name, text)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise BadSettings(f"cannot read {path}: {error.strerror}; check --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} is not TOML: {error}") from None


def _parsed(name: str, text: str) -> Any:
    """Turn text into what the setting's validator takes: lists by comma, none as nothing."""
    if name in {"allowed_hosts", "allowed_stores", "kafka_api_version"}:
        parts = [part.strip() for part in text.replace(".", "," if "api" in name else ".").split(",")]
        return [part for part in parts if part]
    optional = {"group_instance_id", "redis_url", "allowed_root", "sasl_mechanism", "ssl_cafile"}
    return None if name in optional and text == "" else text


def _unknown(source: str, homes: Mapping[str, str]) -> str:
    name = source.split()[1] if source.startswith("--set") else source.split()[0]
    bare = name.removeprefix(PREFIX).lower()
    near = difflib.get_close_matches(bare, homes, n=1)
    known = (PREFIX + near[0].upper() if name.startswith(PREFIX) else near[0]) if near else ""
    mend = f"did you mean {known}?" if near else "see `moderator worker --help`"
    return f"unknown setting {name}; {mend}"


def _validated(values: Mapping[str, Mapping[str, Any]], sources: Mapping[str, str]) -> Settings:
    parts: dict[str, Any] = {}
    for concern, cls in CONCERNS.items():
        try:
            parts[concern] = cls(**values[concern])
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            reason = first["msg"].removeprefix("Value error, ")
            where = f"{sources.get(name, name)}: " if name else ""
            raise BadSettings(f"{where}{reason[0].lower()}{reason[1:]}") from None
    return Settings(**parts)


def seconds(value: float) -> timedelta:
    """Return a setting in seconds as a duration."""
    return timedelta(seconds=value)
