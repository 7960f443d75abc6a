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


class SecureRedisService(RedisService):
    """A server over TLS alone, named ``localhost``, that knows one user with least rights.

    Args:
        folder: An empty folder for its log.
        certificate: The files of its certificate and key.
        authority: File of the authority, which clients trust.
        user: Name and password of the one user.
    """

    def __init__(
        self, folder: Path, certificate: tuple[Path, Path], authority: Path, user: tuple[str, str]
    ) -> None:
        self._authority, self._user = authority, user
        self.port = free_port()
        cert, key = certificate
        command = [program("redis-server", "redis-server"), "--port", "0"]
        command += ["--tls-port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--tls-cert-file", str(cert), "--tls-key-file", str(key)]
        command += ["--tls-ca-cert-file", str(authority), "--tls-auth-clients", "optional"]
        command += ["--user", user[0], "on", f">{user[1]}", "~moderator:embedding:*"]
        command += ["-@all", "+ping", "+getrange", "+set"]
        command += ["--user", "operator", "on", f">{user[1]}", "~*", "+@all"]
        command += ["--user", "default", "off"]
        Service.__init__(self, "redis", command, folder)

    @property
    def url(self) -> str:
        """The URL, without user and password."""
        return f"rediss://localhost:{self.port}/0"

    def client(self) -> "Redis":
        """Return a client that may do everything; the caller closes it."""
        return Redis.from_url(
            self.url,
            username="operator",
            password=self._user[1],
            ssl_ca_certs=str(self._authority),
            socket_timeout=5,
        )
