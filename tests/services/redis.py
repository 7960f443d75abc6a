"""The real Redis for tests, in a folder of its own. Knows nothing of what is kept in it."""

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.services.process import GuardedProcess, free_port, program, wait_until


class RedisService:
    """A server that keeps nothing on disk; its port stays the same over restarts.

    Args:
        folder: An empty folder for its log.
        password: What clients must give; None: nothing.
        max_memory: As Redis writes it, such as ``2mb``; what does not fit is refused.

    Raises:
        ServiceMissingError: redis-server is not installed.
    """

    def __init__(
        self, folder: Path, *, password: str | None = None, max_memory: str | None = None
    ) -> None:
        self.port = free_port()
        self.password = password
        command = [program("redis-server", "redis-server"), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--requirepass", password] if password else []
        command += ["--maxmemory", max_memory] if max_memory else []
        self._process = GuardedProcess("redis", command, folder)
        self.log_path = self._process.log_path

    @property
    def url(self) -> str:
        """The URL with the right password, as ``redis_url`` takes it."""
        return self.url_with(self.password)

    def url_with(self, password: str | None) -> str:
        """Return the URL with another password."""
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def client(self) -> "Redis":
        """Return a client of the tests' own; the caller closes it."""
        return Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process.start()
        wait_until(self._answers, 30, "Redis")

    def stop(self) -> None:
        """Shut it down in order."""
        self._process.stop()

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._process.kill()

    def freeze(self) -> None:
        """Leave its connections open and answer nothing, until ``thaw``."""
        self._process.freeze()

    def thaw(self) -> None:
        """Go on after ``freeze``."""
        self._process.thaw()

    def restart(self) -> None:
        """Start it again, empty, on the same port."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        self._process.check()
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False
