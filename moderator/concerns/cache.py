"""Embeddings of pictures seen before."""

from typing import Self
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from moderator.concerns.concern import Concern
from moderator.values import LEAST_SECRET, PresentFile, Seconds, SecretFile

TLS = "rediss://"


class Cache(Concern):
    """Embeddings of pictures seen before. The name of a certificate is always verified."""

    redis_url: SecretStr | None = Field(
        default=None, description="redis:// or rediss:// (TLS) URL; none: process memory."
    )
    redis_url_file: SecretFile | None = Field(
        default=None, description="File that holds redis_url, for one with a password in it."
    )
    redis_username: str | None = Field(
        default=None, description="User of Redis (ACL); none: that of redis_url, or default."
    )
    redis_password: SecretStr | None = Field(
        default=None, description="Password of that user; none: that of redis_url."
    )
    redis_password_file: SecretFile | None = Field(
        default=None, description="File that holds redis_password; read anew at each connection."
    )
    redis_cafile: PresentFile | None = Field(
        default=None, description="PEM file of the authorities to trust; none: the system's."
    )
    redis_certfile: PresentFile | None = Field(
        default=None, description="PEM file of this client's certificate (mTLS)."
    )
    redis_keyfile: PresentFile | None = Field(
        default=None, description="PEM file of its key; none: it is in redis_certfile."
    )
    redis_key_password: SecretStr | None = Field(
        default=None, description="Password of an encrypted key."
    )
    redis_key_password_file: SecretFile | None = Field(
        default=None, description="File that holds redis_key_password."
    )
    redis_secret: SecretStr | None = Field(
        default=None,
        description="Secret that seals entries, the same for every member; "
        f"{LEAST_SECRET} characters at least. None: whoever can write to Redis can choose what "
        "pictures are judged as.",
    )
    redis_secret_file: SecretFile | None = Field(
        default=None, description="File that holds redis_secret."
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

    @property
    def shared(self) -> bool:
        """Whether embeddings are kept in Redis."""
        return self.has("redis_url")

    def in_memory(self) -> Self:
        """Return the settings of a cache without Redis."""
        kept = {"cache_ttl": self.cache_ttl, "cache_entries": self.cache_entries}
        return type(self).model_validate(kept)

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _check_scheme(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _a_redis_url(self) -> Self:
        url = self.secret("redis_url")
        if url is None:
            self._alone()
            return self
        where = "redis_url_file" if self.redis_url_file else "redis_url"
        self._check_url(url, where)
        if self.redis_certfile is None and (self.redis_keyfile or self.has("redis_key_password")):
            raise ValueError("redis_keyfile and redis_key_password need redis_certfile")
        seal = self.secret("redis_secret")
        if seal is not None and len(seal) < LEAST_SECRET:
            raise ValueError(f"redis_secret must have {LEAST_SECRET} characters at least")
        if self.redis_username and not self.has("redis_password"):
            raise ValueError("redis_username needs redis_password (or redis_password_file)")
        return self

    def _check_url(self, url: str, where: str) -> None:
        try:
            _check_scheme(url)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if any(name.startswith("ssl_") for name in parse_qs(_parts(url).query)):
            # Among them are those that switch verifying off.
            raise ValueError(f"{where}: leave ssl_ options out; set redis_cafile and the like")
        if self.has("redis_password") and _parts(url).password:
            raise ValueError(f"{where} has a password and redis_password is set; give it once")
        if not url.startswith(TLS) and (self.redis_cafile or self.redis_certfile):
            raise ValueError(f"{where}: redis_cafile and redis_certfile need rediss://")

    def _alone(self) -> None:
        """Refuse settings of Redis where there is none."""
        named = (name for name in type(self).model_fields if name.startswith("redis_"))
        given = [name for name in named if name != "redis_timeout" and getattr(self, name)]
        if given:
            raise ValueError(f"{' and '.join(given)} need redis_url")


def _check_scheme(url: str) -> None:
    if not url.startswith(("redis://", TLS, "unix://")):
        raise ValueError("it must begin with redis://, rediss:// or unix://")


def _parts(url: str) -> SplitResult:
    """Part a URL; one that is none is left to the client, which says so without showing it."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
