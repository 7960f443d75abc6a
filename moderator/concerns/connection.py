"""How to reach the brokers: where they are, over what, and as whom."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from moderator.concerns.concern import Concern
from moderator.values import Brokers, PresentFile, SecretFile, TokenEndpoint, Version

PASSWORD = ("sasl_username", "sasl_password")
"""Settings of PLAIN and SCRAM."""

TOKEN = (
    "sasl_oauthbearer_token_endpoint_url",
    "sasl_oauthbearer_client_id",
    "sasl_oauthbearer_client_secret",
    "sasl_oauthbearer_scope",
    "sasl_oauthbearer_cafile",
)
"""Settings of OAUTHBEARER."""


class Connection(Concern):
    """How to reach the brokers. The names of certificates are always verified."""

    bootstrap_servers: Brokers = Field(
        default="localhost:9092", description="Brokers, host:port, comma-separated."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="How to talk to the brokers: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = (
        Field(
            default=None,
            description="With a SASL_ protocol: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or "
            "OAUTHBEARER.",
        )
    )
    sasl_username: str | None = Field(default=None, description="User name of PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(default=None, description="Password of that user.")
    sasl_password_file: SecretFile | None = Field(
        default=None, description="File that holds sasl_password; read anew at each connection."
    )
    sasl_oauthbearer_token_endpoint_url: TokenEndpoint | None = Field(
        default=None,
        description="Where OAUTHBEARER gets tokens (KIP-768): https:// of an identity provider "
        "(client credentials), or file:// of a file that is read anew at each connection.",
    )
    sasl_oauthbearer_client_id: str | None = Field(
        default=None, description="Client id that the identity provider knows."
    )
    sasl_oauthbearer_client_secret: SecretStr | None = Field(
        default=None, description="Secret of that client."
    )
    sasl_oauthbearer_client_secret_file: SecretFile | None = Field(
        default=None, description="File that holds it; read anew for each token."
    )
    sasl_oauthbearer_scope: str | None = Field(
        default=None, description="Scope to ask for; none: the provider's default."
    )
    sasl_oauthbearer_cafile: PresentFile | None = Field(
        default=None,
        description="PEM file of the authorities to trust at the identity provider; none: the "
        "system's.",
    )
    ssl_cafile: PresentFile | None = Field(
        default=None, description="PEM file of the authorities to trust; none: the system's."
    )
    ssl_certfile: PresentFile | None = Field(
        default=None, description="PEM file of this client's certificate (mTLS)."
    )
    ssl_keyfile: PresentFile | None = Field(
        default=None, description="PEM file of its key; none: it is in ssl_certfile."
    )
    ssl_key_password: SecretStr | None = Field(
        default=None, description="Password of an encrypted key."
    )
    ssl_key_password_file: SecretFile | None = Field(
        default=None, description="File that holds ssl_key_password."
    )
    kafka_api_version: Version | None = Field(
        default=None, description="Broker version to assume instead of asking, such as 2.3."
    )

    @property
    def identity(self) -> str:
        """What brokers are told of who this is, in words."""
        if self.sasl_username:
            return f"as {self.sasl_username}"
        if self.sasl_mechanism == "OAUTHBEARER":
            return f"with a token{self._of_client}"
        return "with a certificate" if self.ssl_certfile else "without a user"

    @property
    def _of_client(self) -> str:
        client = self.sasl_oauthbearer_client_id
        return f" of {client}" if client else ""

    @model_validator(mode="after")
    def _credentials_with_sasl(self) -> Self:
        protocol = self.security_protocol
        if not protocol.startswith("SASL"):
            reason = f"need security_protocol SASL_SSL or SASL_PLAINTEXT, not {protocol}"
            self._none_of(("sasl_mechanism", *PASSWORD, *TOKEN), reason)
        elif self.sasl_mechanism is None:
            raise ValueError(f"security_protocol {protocol} needs sasl_mechanism")
        elif self.sasl_mechanism == "OAUTHBEARER":
            self._none_of(PASSWORD, "are not of OAUTHBEARER; leave them out")
            self._client_of_endpoint()
        else:
            self._none_of(TOKEN, f"are not of {self.sasl_mechanism}; leave them out")
            if not all(map(self._is_set, PASSWORD)):
                raise ValueError(
                    f"sasl_mechanism {self.sasl_mechanism} needs sasl_username and sasl_password "
                    "(or sasl_password_file)"
                )
        return self

    def _client_of_endpoint(self) -> None:
        url, client = self.sasl_oauthbearer_token_endpoint_url, TOKEN[1:3]
        if url is None:
            raise ValueError("OAUTHBEARER needs sasl_oauthbearer_token_endpoint_url")
        if url.startswith("file:"):
            self._none_of(TOKEN[1:], "are of an identity provider; a file of a token needs none")
        elif not all(map(self._is_set, client)):
            raise ValueError(
                "an identity provider needs sasl_oauthbearer_client_id and "
                "sasl_oauthbearer_client_secret (or sasl_oauthbearer_client_secret_file)"
            )

    @model_validator(mode="after")
    def _certificates_with_tls(self) -> Self:
        if not self.security_protocol.endswith("SSL"):
            # Who names an authority and forgets the protocol would send all in the clear.
            reason = f"need security_protocol SSL or SASL_SSL, not {self.security_protocol}"
            files = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_key_password")
            self._none_of(files, reason)
        if self.ssl_certfile is None:
            self._none_of(("ssl_keyfile", "ssl_key_password"), "need ssl_certfile")
        return self

    def _none_of(self, names: tuple[str, ...], reason: str) -> None:
        given = [name for name in names if self._is_set(name)]
        if given:
            raise ValueError(f"{' and '.join(given)}: these settings {reason}")

    def _is_set(self, name: str) -> bool:
        return bool(getattr(self, name)) or getattr(self, f"{name}_file", None) is not None
