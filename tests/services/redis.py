"""The real Redis for tests, in a folder of its own. Knows nothing of what is kept in it."""

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.services.process import Service, free_port, program


class RedisService(Service):
    """A server that keeps nothing on disk: it is empty after every start, on the same port.

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
        super().__init__("redis", command, folder)

    @property
    def url(self) -> str:
        """The URL with the right password, as ``redis_url`` takes it."""
        return self.url_with(self.password)

    def url_with(self, password: str | None) -> str:
        """Return the URL with another password."""
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"

    def client(self) -> "Redis":
        """Return a client of the tests' own; the caller closes it."""
        return Redis.from_url(self.url, socket_timeout=5)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False
