"""Reach Redis: clients from settings, and waiting for it at the start. Knows nothing of keys.

No error here ever holds the URL, which may hold the password.
"""

import logging
import threading
import time

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from moderator import settings
from moderator.errors import BadSettings, Unavailable

logger = logging.getLogger(__name__)

ATTEMPT = 3.0
"""Seconds that one attempt to reach it may take."""

RETRY = 0.2
"""Seconds between two attempts."""


def redis_client(cache: settings.Cache, timeout: float) -> Redis:
    """Return a client that tries everything once.

    Raises:
        BadSettings: ``redis_url`` is not a URL of Redis.
    """
    url = cache.redis_url.get_secret_value() if cache.redis_url else ""
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # The client's own text may hold the password.
        raise BadSettings(
            "redis_url is not a URL of Redis; write redis://:password@host:6379/0, or rediss:// "
            "for TLS"
        ) from None


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
            client.mget(["moderator:embedding:check"])
    except (AuthenticationError, AuthenticationWrongNumberOfArgsError):
        raise BadSettings(
            f"Redis at {at} refuses the user or password; check those in redis_url"
        ) from None
    except NoPermissionError as error:
        raise BadSettings(
            f"Redis at {at} does not permit it ({error}); allow ping, mget and set on "
            "moderator:embedding:*"
        ) from None
    except BusyLoadingError:
        return "it is loading its data"
    except TypeError:
        raise BadSettings("redis_url holds an option that the client does not know") from None
    except ResponseError as error:
        raise BadSettings(f"Redis at {at} answers with an error: {error}") from None
    except (RedisError, OSError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None
