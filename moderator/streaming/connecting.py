"""Reach the brokers as whom the settings say: all Kafka clients are constructed here.

Files of secrets and certificates are read anew for every connection, so that rotated ones are used
from the next one on. Knows nothing of what clients are for.
"""

from collections.abc import Callable
from typing import Any

from kafka.errors import (
    AuthorizationError,
    IncompatibleBrokerVersion,
    KafkaConfigurationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from moderator import tls
from moderator.errors import BadSettings, ModeratorError, Unavailable
from moderator.settings import Kafka
from moderator.streaming.tokens import tokens_of
from moderator.streaming.transport import mend

mend()

ATTEMPT = 3.0
"""Seconds that one attempt to reach the brokers may take."""

REFUSALS = (
    AuthorizationError,
    IncompatibleBrokerVersion,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    BadSettings,
)
"""What trying again does not change."""


def connected(cls: Callable[..., Any], kafka: Kafka, configuration: dict[str, Any]) -> Any:
    """Construct a client; one whose construction fails leaves no connection or thread behind.

    Args:
        cls: Of the client.
        kafka: Where the brokers are, and as whom to reach them.
        configuration: What this client is to be, beside that.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """
    opened: list[tuple[KafkaNetClient, _Manager]] = []

    def opening(**given: Any) -> KafkaNetClient:
        net = NetworkSelector(**given)
        manager = _Manager(net, kafka, **given)
        opened.append((KafkaNetClient(net=net, manager=manager), manager))
        return opened[-1][0]

    # What is wrong with files and with the identity provider is found before any connection.
    _credentials(kafka)
    _context(kafka)
    try:
        return cls(**(_common(kafka) | configuration), kafka_client=opening)
    except (AssertionError, KafkaError, OSError, ValueError) as error:
        refusals = [manager.refusal for _, manager in opened if manager.refusal is not None]
        for client, _ in opened:
            client.close()
        raise _owned(refusals[0] if refusals else error, kafka) from None


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """A connection manager that reads secrets for each connection, and keeps why it was refused.

    The client itself goes on trying until its time is up, and then says only that it is; once a
    password was refused, it would never try that broker again. And it forgets its back-off once an
    address accepts a connection, even one that ends before anything was said: at a load balancer
    whose broker is away it would try again without a pause.
    """

    def __init__(self, net: NetworkSelector, kafka: Kafka, **given: Any) -> None:
        self._kafka = kafka
        self.refusal: Exception | None = None
        super().__init__(net, **given)

    def get_connection(self, *args: Any, **given: Any) -> Any:
        connection = super().get_connection(*args, **given)
        connection.init_future.add_errback(self._note)
        return connection

    def reset_backoff(self, node_id: Any) -> None:
        connection = self._conns.get(node_id)
        if connection is not None and connection.connected:
            super().reset_backoff(node_id)
        else:
            self.update_backoff(node_id)

    def maybe_raise_auth_failure(self, node_id: Any) -> None:
        failure = self._auth_failures.pop(node_id, None)
        if failure is not None:
            raise failure

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        self.config["ssl_context"] = _context(self._kafka)
        connection = self._conns.get(node.node_id)
        if connection is not None:
            connection.config.update(_credentials(self._kafka))
        return await super()._build_transport(node, timeout_at=timeout_at)

    def _note(self, error: Exception) -> None:
        if isinstance(error, REFUSALS) or tls.refusal(error) is not None:
            self.refusal = error


def _owned(error: Exception, kafka: Kafka) -> ModeratorError:
    """Say whose fault it is that a client could not be constructed."""
    at = kafka.bootstrap_servers
    if isinstance(error, ModeratorError):
        return error
    insecure = tls.refusal(error)
    if insecure is not None:
        return BadSettings(
            f"{at} cannot be reached over TLS: {insecure}; check bootstrap_servers, "
            "security_protocol and the ssl_ settings"
        )
    if isinstance(error, KafkaConfigurationError) or not isinstance(error, KafkaError):
        return BadSettings(f"the Kafka client refuses its settings: {error}")
    if isinstance(error, REFUSALS):
        return BadSettings(_refused(error, kafka))
    return Unavailable(f"no broker answers at {at} ({type(error).__name__})")


def _refused(error: KafkaError, kafka: Kafka) -> str:
    """Say what brokers refuse, and what to do."""
    at = kafka.bootstrap_servers
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"{at} does not offer {kafka.sasl_mechanism}; check sasl_mechanism"
    if isinstance(error, AuthorizationError):
        return f"{at} does not permit it: {error}; grant this user what it needs"
    if isinstance(error, IncompatibleBrokerVersion):
        return f"{at} is no broker this client can talk to: {error}"
    if kafka.sasl_mechanism == "OAUTHBEARER":
        return (
            f"{at} refuses the token; check the sasl_oauthbearer_ settings, and that the brokers "
            "trust who issues it"
        )
    return (
        f"{at} refuses user {kafka.sasl_username!r}: wrong user name or password; check "
        "sasl_username, sasl_password and sasl_mechanism"
    )


def _credentials(kafka: Kafka) -> dict[str, Any]:
    """Return what a connection says of who this is, as it is now.

    Raises:
        BadSettings: A file of a secret cannot be read, or the identity provider refuses them.
        Unavailable: The identity provider cannot be reached.
    """
    if kafka.sasl_mechanism is None:
        return {}
    if kafka.sasl_mechanism == "OAUTHBEARER":
        tokens = tokens_of(kafka)
        tokens.await_first()
        return {"sasl_oauth_token_provider": tokens}
    user = kafka.sasl_username or ""
    if kafka.sasl_mechanism.startswith("SCRAM"):
        # RFC 5802, section 5.1; the client leaves it to us.
        user = user.replace("=", "=3D").replace(",", "=2C")
    return {"sasl_plain_username": user, "sasl_plain_password": kafka.secret("sasl_password")}


def _context(kafka: Kafka) -> Any:
    """Return the TLS context of a connection, None where there is no TLS."""
    if not kafka.security_protocol.endswith("SSL"):
        return None
    files = tls.Files("ssl_", kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile)
    return tls.client_context(files, kafka.secret("ssl_key_password"))


def _common(kafka: Kafka) -> dict[str, Any]:
    return {
        "bootstrap_servers": [each.strip() for each in kafka.bootstrap_servers.split(",")],
        "bootstrap_timeout_ms": round(ATTEMPT * 1000),
        "security_protocol": kafka.security_protocol,
        # Names and passwords are no part of it: clients write their configuration to the log.
        "sasl_mechanism": kafka.sasl_mechanism,
        "api_version": kafka.kafka_api_version,
        "reconnect_backoff_max_ms": 2000,
    }
