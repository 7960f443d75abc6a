"""Reach Redis: clients from settings, and waiting for it at the start. Knows nothing of keys.

No error here ever holds the URL, which may hold the password.
"""

import logging
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from redis import CredentialProvider, Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from moderator import settings
from moderator.errors import BadSettings, Unavailable
from moderator.tls import Files, client_context, refusal

logger = logging.getLogger(__name__)

ATTEMPT = 3.0
"""Seconds that one attempt to reach it may take."""

CHECKED = "moderator:embedding:check"
"""A key that nothing is ever kept under."""

RETRY = 0.2
"""Seconds between two attempts."""


class Credentials(CredentialProvider):
    """User and password as they are when a connection is made, so that rotated ones are used."""

    def __init__(self, cache: settings.Cache) -> None:
        self._cache = cache

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return password, or user and password; the same again where nothing was rotated.

        Raises:
            BadSettings: A file of a secret cannot be read.
        """
        cache = self._cache
        parts = urlsplit(cache.secret("redis_url") or "")
        password = cache.secret("redis_password")
        if password is None:
            password = unquote(parts.password or "")
        user = cache.redis_username or unquote(parts.username or "")
        return (user, password) if user else (password,)

    @property
    def given(self) -> bool:
        """Whether there is a user or a password at all."""
        return any(self.get_credentials())


def redis_client(cache: settings.Cache, timeout: float) -> Redis:
    """Return a client that tries everything once.

    Raises:
        BadSettings: ``redis_url`` is not a URL of Redis, or a file is not what it should be.
    """
    url = cache.secret("redis_url") or ""
    given: dict[str, Any] = _tls(cache) if url.startswith("rediss://") else {}
    try:
        credentials = Credentials(cache)
        if credentials.given:
            given["credential_provider"] = credentials
        return Redis.from_url(
            _without_user(url),
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            **given,
        )
    except ValueError:
        # The client's own text may hold the password.
        raise BadSettings(
            "redis_url is not a URL of Redis; write redis://:password@host:6379/0, or rediss:// "
            "for TLS"
        ) from None


def _without_user(url: str) -> str:
    """Return a URL that tells the client where alone: who is asked for at each connection."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _tls(cache: settings.Cache) -> dict[str, Any]:
    """Return what the client is told of TLS; it reads the files anew for each connection.

    Raises:
        BadSettings: A file is not what it should be.
    """
    password = cache.secret("redis_key_password")
    files = Files("redis_", cache.redis_cafile, cache.redis_certfile, cache.redis_keyfile)
    # Only tried: the client builds its own, and does not say which file is wrong.
    client_context(files, password)
    return {
        "ssl_cert_reqs": "required",
        # The default of older clients is not to look at the name.
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        "ssl_ca_certs": _text(cache.redis_cafile),
        "ssl_certfile": _text(cache.redis_certfile),
        "ssl_keyfile": _text(cache.redis_keyfile),
        # None would have OpenSSL ask at the terminal.
        "ssl_password": password or "",
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def address(cache: settings.Cache) -> str:
    """Return host, port and database of the Redis, without user and password."""
    known = redis_client(cache, ATTEMPT).connection_pool.connection_kwargs
    if "path" in known:
        return str(known["path"])
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db', 0)}"


def wait_for_redis(
    cache: settings.Cache, timeout: float, stop: threading.Event | None = None
) -> None:
    """Wait until Redis answers and may be read; nothing is written.

    Args:
        cache: Its URL.
        timeout: Seconds to wait; 0 waits for ever.
        stop: Ends the wait early, without an error, when set.

    Raises:
        BadSettings: It refuses the password or user, or the URL is not one of Redis.
        Unavailable: It did not answer in time.
    """
    deadline = time.monotonic() + timeout if timeout else None
    reported = False
    while stop is None or not stop.is_set():
        left = deadline - time.monotonic() if deadline else ATTEMPT
        error = _refused(cache, min(ATTEMPT, max(left, 0.1)))
        if error is None:
            return
        if deadline is not None and time.monotonic() >= deadline - RETRY:
            raise Unavailable(
                f"Redis at {address(cache)} did not answer within {timeout:g} s ({error}); "
                "check redis_url and that it runs"
            )
        if not reported:
            logger.warning("Redis at %s: %s; waiting", address(cache), error)
            reported = True
        time.sleep(RETRY)


def _refused(cache: settings.Cache, timeout: float) -> str | None:
    """Return why Redis cannot be used yet, None where it can.

    Raises:
        BadSettings: It never will with these settings.
    """
    at = address(cache)
    try:
        with redis_client(cache, timeout) as client:
            client.ping()
            client.getrange(CHECKED, 0, 0)
            # Written only where it is there, which it never is.
            client.set(CHECKED, b"", xx=True, px=1)
    except (AuthenticationError, AuthenticationWrongNumberOfArgsError):
        raise BadSettings(
            f"Redis at {at} refuses the user or password; check redis_username and "
            "redis_password, or those in redis_url"
        ) from None
    except NoPermissionError as error:
        raise BadSettings(
            f"Redis at {at} does not permit it ({error}); allow ping, getrange and set on "
            "moderator:embedding:*"
        ) from None
    except (OutOfMemoryError, ReadOnlyError) as error:
        logger.warning("Redis at %s stores nothing: %s; what it has is used", at, error)
    except BusyLoadingError:
        return "it is loading its data"
    except TypeError:
        raise BadSettings("redis_url holds an option that the client does not know") from None
    except ResponseError as error:
        raise BadSettings(f"Redis at {at} answers with an error: {error}") from None
    except (RedisError, OSError) as error:
        insecure = refusal(error)
        if insecure is not None:
            raise BadSettings(
                f"Redis at {at} cannot be reached over TLS: {insecure}; check redis_url and "
                "redis_cafile"
            ) from None
        return " ".join(str(error).split()) or type(error).__name__
    return None
