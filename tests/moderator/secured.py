"""Everything that a worker talks to, over TLS and with least rights, for tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import TopicNames, running
from tests.services.certificates import Authority
from tests.services.identity import IdentityProvider
from tests.services.redis import SecureRedisService
from tests.services.secure_kafka import SecureKafkaService

WORKER, PASSWORD = "worker", "scr4m-s3cret"
REDIS_PASSWORD = "r3dis-s3cret"
CLIENT, CLIENT_SECRET = "worker-client", "0auth-s3cret"
KEY_PASSWORD = "k3y-s3cret"


@dataclass(frozen=True)
class Secured:
    """The services, the authority of their certificates, and a folder for files."""

    folder: Path
    authority: Authority
    provider: IdentityProvider
    kafka: SecureKafkaService
    redis: SecureRedisService

    def file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_text(f"{text}\n")
        return str(path)

    def scram(self, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """Return the settings of the user with a password."""
        return {
            "bootstrap_servers": self.kafka.listener("SCRAM"),
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.authority.cert),
            "sasl_mechanism": mechanism,
            "sasl_username": WORKER,
            "sasl_password_file": self.file("sasl_password", PASSWORD),
        }

    def oauth(self) -> dict[str, str]:
        """Return the settings of the client with tokens."""
        return {
            "bootstrap_servers": self.kafka.listener("OAUTH"),
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.authority.cert),
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauthbearer_token_endpoint_url": self.provider.url,
            "sasl_oauthbearer_client_id": CLIENT,
            "sasl_oauthbearer_client_secret_file": self.file("client_secret", CLIENT_SECRET),
            "sasl_oauthbearer_cafile": str(self.authority.cert),
        }

    def mtls(self) -> dict[str, str]:
        """Return the settings of the client with a certificate, whose key is encrypted."""
        cert, key = self.authority.issue("certified", password=KEY_PASSWORD)
        return {
            "bootstrap_servers": self.kafka.listener("MTLS"),
            "security_protocol": "SSL",
            "ssl_cafile": str(self.authority.cert),
            "ssl_certfile": str(cert),
            "ssl_keyfile": str(key),
            "ssl_key_password_file": self.file("key_password", KEY_PASSWORD),
        }

    def cached(self) -> dict[str, str]:
        """Return the settings of Redis."""
        return {
            "redis_url": self.redis.url,
            "redis_cafile": str(self.authority.cert),
            "redis_username": WORKER,
            "redis_password_file": self.file("redis_password", REDIS_PASSWORD),
            "redis_timeout": "2",
        }


def least_rights(topics: TopicNames, instance: str = "0") -> list[tuple[str, str, str]]:
    """Return all that a worker needs, as README lists it."""
    identity = f"{topics.group}-{instance}-0"
    return [
        ("TOPIC", topics.posts, "READ"),
        ("TOPIC", topics.prototypes, "READ"),
        ("TOPIC", topics.control, "READ"),
        ("TOPIC", topics.decisions, "WRITE"),
        ("TOPIC", topics.flagged, "WRITE"),
        ("TOPIC", topics.dead_letter, "WRITE"),
        ("GROUP", topics.group, "READ"),
        ("TRANSACTIONAL_ID", identity, "WRITE"),
        ("TRANSACTIONAL_ID", identity, "DESCRIBE"),
    ]


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Run all services."""
    for name in ("kafka", "redis"):
        (folder / name).mkdir()
    authority = Authority(folder)
    provider = IdentityProvider(folder, *authority.issue("identity"), {CLIENT: CLIENT_SECRET})
    users = {WORKER: PASSWORD, "poor": PASSWORD}
    certificate = authority.issue("redis-server")
    with ExitStack() as stack:
        stack.callback(provider.close)
        kafka = stack.enter_context(
            running(
                lambda place: SecureKafkaService(
                    place, authority, provider, users, (WORKER, PASSWORD)
                ),
                folder / "kafka",
            )
        )
        redis = stack.enter_context(
            running(
                lambda place: SecureRedisService(
                    place, certificate, authority.cert, (WORKER, REDIS_PASSWORD)
                ),
                folder / "redis",
            )
        )
        yield Secured(folder, authority, provider, kafka, redis)
