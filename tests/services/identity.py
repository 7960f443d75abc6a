"""An identity provider for tests: gives signed tokens to clients that know their secret.

Tokens are JSON Web Tokens (RS256); ``jwks`` is the file by which brokers verify them.
"""

import base64
import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from tests.services.process import program

ISSUER, AUDIENCE = "https://identity.example", "kafka"


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class IdentityProvider:
    """A token endpoint over https at ``url``.

    Args:
        folder: Where its key goes.
        cert: Its certificate, and ``key`` of that.
        clients: Secret by client id.

    ``lifetime`` is how long tokens live, in seconds; ``asked`` holds the form of each request;
    ``down`` makes it answer 503.
    """

    def __init__(self, folder: Path, cert: Path, key: Path, clients: dict[str, str]) -> None:
        self.clients, self.lifetime, self.down = clients, 300.0, False
        self.asked: list[dict[str, list[str]]] = []
        self._openssl = program("openssl", "openssl")
        self._signing = folder / "signing.key"
        subprocess.run([self._openssl, "genrsa", "-out", self._signing, "2048"], check=True,
                       capture_output=True)  # fmt: skip
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [self._public()]}))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, subject: str, *, lifetime: float | None = None) -> str:
        """Return a signed token."""
        now = time.time()
        life = self.lifetime if lifetime is None else lifetime
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": "kafka",
                  "iat": int(now), "exp": int(now + life)}  # fmt: skip
        head = {"alg": "RS256", "typ": "JWT", "kid": "test"}
        signed = ".".join(_coded(json.dumps(part).encode()) for part in (head, claims))
        done = subprocess.run([self._openssl, "dgst", "-sha256", "-sign", self._signing],
                              input=signed.encode(), check=True, capture_output=True)  # fmt: skip
        return f"{signed}.{_coded(done.stdout)}"

    def _public(self) -> dict[str, str]:
        done = subprocess.run([self._openssl, "rsa", "-in", self._signing, "-noout", "-modulus"],
                              check=True, capture_output=True, text=True)  # fmt: skip
        modulus = bytes.fromhex(done.stdout.strip().removeprefix("Modulus="))
        return {"kty": "RSA", "kid": "test", "use": "sig", "alg": "RS256",
                "n": _coded(modulus), "e": "AQAB"}  # fmt: skip

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.asked.append(parse_qs(body))
                coded = self.headers["Authorization"].removeprefix("Basic ")
                client, _, secret = base64.b64decode(coded).decode().partition(":")
                if provider.down:
                    self._answer(503, {})
                elif provider.clients.get(client) != secret:
                    self._answer(401, {"error": "invalid_client", "given": secret})
                else:
                    self._answer(200, {"access_token": provider.token(client),
                                       "expires_in": provider.lifetime})  # fmt: skip

            def _answer(self, status: int, body: dict[str, object]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
