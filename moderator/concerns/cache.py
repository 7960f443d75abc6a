"""Embeddings of pictures seen before."""

from pydantic import Field, SecretStr, field_validator

from moderator.concerns.concern import Concern
from moderator.values import Seconds


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
