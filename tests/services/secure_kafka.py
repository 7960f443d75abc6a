"""The real Kafka as a careful operator runs it: TLS, users, tokens, and an authorizer.

Everything is denied that no rule allows. The tests' own tools use the open listener, whose nobody
is the super user; that listener stands for the operator's own network.
"""

from collections.abc import Iterable
from pathlib import Path

from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.admin import ACLResourcePatternType as Pattern

from tests.services.certificates import Authority, in_one_file
from tests.services.identity import AUDIENCE, ISSUER, IdentityProvider
from tests.services.kafka import KafkaService
from tests.services.process import free_port

LISTENERS = {"SCRAM": "SASL_SSL", "OAUTH": "SASL_SSL", "MTLS": "SSL", "EXPIRED": "SASL_SSL"}

MORE = """
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},{secure}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mtls.ssl.client.auth=required
listener.name.mtls.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={expired}
listener.name.expired.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.expired.scram-sha-512.sasl.jaas.config={scram}
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.scram.scram-sha-256.sasl.jaas.config={scram}
listener.name.scram.scram-sha-512.sasl.jaas.config={scram}
listener.name.scram.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{plain_user}="{plain_word}";
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
# With this, a connection ends with its token unless it shows a new one (KIP-368).
listener.name.oauth.oauthbearer.connections.max.reauth.ms=600000
listener.name.oauth.sasl.oauthbearer.jwks.endpoint.url=file://{jwks}
listener.name.oauth.sasl.oauthbearer.expected.issuer={issuer}
listener.name.oauth.sasl.oauthbearer.expected.audience={audience}
sasl.oauthbearer.jwks.endpoint.url=file://{jwks}
"""

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class SecureKafkaService(KafkaService):
    """A broker with a listener for each way of being known; their names are ``localhost``.

    Tokens are verified by signature (a JWKS file), issuer, audience and time.

    Args:
        folder: An empty folder for data, configuration and log.
        authority: Signs the broker's certificates and is trusted for those of clients.
        provider: Whose tokens the broker takes.
        users: SCRAM passwords by user, made when the data folder is formatted.
        plain: User and password of PLAIN.
    """

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        provider: IdentityProvider,
        users: dict[str, str],
        plain: tuple[str, str],
    ) -> None:
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{provider.jwks}"
        super().__init__(folder, (allowed,))
        self._ports = {name: free_port() for name in LISTENERS}
        more = MORE.format(
            plain=self._plain,
            controller=self._controller,
            secure=",".join(f"{n}://localhost:{p}" for n, p in self._ports.items()),
            protocols=",".join(f"{n}:{p}" for n, p in LISTENERS.items()),
            store=in_one_file(*authority.issue("broker")),
            expired=in_one_file(*authority.issue("stale-broker", expired=True)),
            authority=authority.cert,
            scram=SCRAM,
            plain_user=plain[0],
            plain_word=plain[1],
            jwks=provider.jwks,
            issuer=ISSUER,
            audience=AUDIENCE,
        )
        # Of a name that is there twice, the last one counts.
        self._config.write_text(self._config.read_text() + more)
        self._format_options = tuple(
            part
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for user, word in users.items()
            for part in ("--add-scram", f"{mechanism}=[name={user},password={word}]")
        )

    def listener(self, name: str, host: str = "localhost") -> str:
        """Return where a listener is."""
        return f"{host}:{self._ports[name]}"

    def allow(self, user: str, rules: Iterable[tuple[str, str, str]]) -> None:
        """Allow a user operations: (kind of resource, its name, operation)."""
        acls = [
            ACL(f"User:{user}", "*", ACLOperation[operation], ACLPermissionType.ALLOW,
                ResourcePattern(ResourceType[kind], name, Pattern.LITERAL))
            for kind, name, operation in rules
        ]  # fmt: skip
        with self.admin() as admin:
            assert not admin.create_acls(acls)["failed"]
