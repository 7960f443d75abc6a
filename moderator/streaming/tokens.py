"""Tokens of OAUTHBEARER: from a file, or from an identity provider, renewed before they end.

The client asks for a token on its I/O thread whenever it connects; what takes time is done on a
thread of its own, so that heartbeats go on. All clients of a process share one token.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider

from moderator.errors import BadSettings, ModeratorError, Unavailable
from moderator.secret_file import read_secret
from moderator.settings import Kafka
from moderator.streaming.token_endpoint import Token, fetch_token

logger = logging.getLogger(__name__)

RENEW_AT = 0.8
"""Part of a token's life after which the next one is asked for, as Kafka's own client does."""

FIRST_WAIT = 12.0
"""Seconds that the first token may take: a whole attempt at the provider."""

BACK_OFF = (1.0, 30.0)
"""Seconds of the first pause after a failure, and of the longest."""


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]
    """The token that a file holds, such as a mounted service account's; read for each connection.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def await_first(self) -> None:
        """Make sure that there is a token.

        Raises:
            BadSettings: There is none.
        """
        try:
            read_secret(self._path)
        except ValueError as error:
            raise BadSettings(f"sasl_oauthbearer_token_endpoint_url: {error}") from None

    def token(self) -> str:
        """Return the token as it is now."""
        try:
            return read_secret(self._path)
        except ValueError as error:
            raise KafkaConnectionError(str(error)) from None


class ProviderTokens(AbstractTokenProvider):  # type: ignore[misc]
    """The token that an identity provider gave last; a thread renews it for as long as we live.

    Args:
        fetch: Gets a token; may take seconds.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, fetch: Callable[[], Token], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._clock = clock
        self._changed = threading.Condition()
        self._token: Token | None = None
        self._until = 0.0
        self._failure: ModeratorError | None = None
        self._started = False

    def await_first(self) -> None:
        """Make sure that there is a token; returns at once where there was one before.

        Raises:
            BadSettings: The provider refuses this client, or is not to be trusted.
            Unavailable: It does not answer.
        """
        with self._changed:
            if self._token is not None:
                return
            self._start()
            self._failure = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._token or self._failure, FIRST_WAIT)
            if self._token is None:
                raise self._failure or Unavailable("the identity provider does not answer")

    def token(self) -> str:
        """Return a token that is valid now, without waiting.

        Raises:
            KafkaConnectionError: There is none: the provider has been away for too long.
        """
        with self._changed:
            if self._token is None or self._clock() >= self._until:
                raise KafkaConnectionError(f"no valid token: {self._failure or 'not renewed yet'}")
            return self._token.text

    def _start(self) -> None:
        if not self._started:
            self._started = True
            threading.Thread(target=self._renew, name="tokens", daemon=True).start()

    def _renew(self) -> None:
        pause = BACK_OFF[0]
        while True:
            begin = self._clock()
            try:
                token = self._fetch()
            except Exception as error:  # the only thread that renews must not end
                self._failed(_owned(error), pause)
                pause = min(2 * pause, BACK_OFF[1])
                continue
            pause = BACK_OFF[0]
            with self._changed:
                self._token, self._until, self._failure = token, begin + token.lifetime, None
                self._changed.notify_all()
            # Not in one piece of sleep: who stops the clock, as a suspended machine does, is late.
            self._sleep_until(begin + RENEW_AT * token.lifetime)

    def _failed(self, error: ModeratorError, pause: float) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()
            if self._token is not None:
                logger.warning("token not renewed: %s; trying again", error)
            # Who waits for a first token and asks again need not wait for the pause.
            self._changed.wait_for(lambda: self._failure is None, pause)

    def _sleep_until(self, moment: float) -> None:
        while (left := moment - self._clock()) > 0:
            time.sleep(min(left, 30.0))


def _owned(error: Exception) -> ModeratorError:
    """Return an error as one of ours; what nobody foresaw is the provider's answer to blame."""
    if isinstance(error, ModeratorError):
        return error
    logger.error("token not renewed, for a reason nobody foresaw", exc_info=error)
    return Unavailable(f"the identity provider's answer is not understood: {type(error).__name__}")


Tokens = FileTokens | ProviderTokens


@lru_cache(maxsize=16)
def tokens_of(kafka: Kafka) -> Tokens:
    """Return the tokens of these settings, the same object for all clients of the process."""
    parts = urlsplit(kafka.sasl_oauthbearer_token_endpoint_url or "")
    if parts.scheme == "file":
        return FileTokens(Path(unquote(parts.path)))
    return ProviderTokens(lambda: fetch_token(kafka))
