"""Ask an identity provider for a token (OAuth 2.0 client credentials, RFC 6749 section 4.4).

Nothing of what it answers but its error code is ever shown: it may hold a token.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from moderator import tls
from moderator.errors import BadSettings, Unavailable
from moderator.settings import Kafka

CONNECT, READ = 5.0, 5.0
"""Seconds that connecting and each part of the answer may take."""

MOST_BYTES = 256 * 1024
"""Of an answer; tokens have a few thousand."""

DEFAULT_LIFETIME = 300.0
"""Seconds that a token is taken to live where the provider does not say."""

SHORTEST, LONGEST = 1.0, 86_400.0

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a bearer token is made of (RFC 6750, section 2.1)."""

REFUSED = {
    "invalid_client": "it does not know this client or its secret",
    "invalid_grant": "it does not grant this",
    "invalid_request": "it does not understand the request",
    "invalid_scope": "it does not grant this scope",
    "unauthorized_client": "this client may not have a token this way",
    "unsupported_grant_type": "it does not offer client credentials",
}
"""Errors of RFC 6749, section 5.2."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and the seconds that it lives from when it was asked for."""

    text: str = field(repr=False)
    lifetime: float


def fetch_token(kafka: Kafka) -> Token:
    """Return a new token.

    Raises:
        BadSettings: The provider refuses this client, or its certificate is not to be trusted.
        Unavailable: It does not answer, or not with a token.
    """
    url = kafka.sasl_oauthbearer_token_endpoint_url or ""
    form = {"grant_type": "client_credentials"}
    if kafka.sasl_oauthbearer_scope:
        form["scope"] = kafka.sasl_oauthbearer_scope
    status, body = _posted(url, kafka, urlencode(form))
    if status == 200:
        return _token(body, url)
    code = _member(body, "error")
    if code in REFUSED or status in {400, 401, 403}:
        reason = REFUSED.get(str(code), f"it answers with status {status}")
        raise BadSettings(
            f"{url} gives no token: {reason}; check sasl_oauthbearer_client_id, "
            "sasl_oauthbearer_client_secret and sasl_oauthbearer_scope"
        )
    raise Unavailable(f"{url} gives no token: it answers with status {status}")


def _posted(url: str, kafka: Kafka, form: str) -> tuple[int, bytes]:
    context = tls.client_context(tls.Files("sasl_oauthbearer_", kafka.sasl_oauthbearer_cafile))
    timeout = urllib3.Timeout(connect=CONNECT, read=READ)
    headers = {
        "Accept": "application/json",
        "Authorization": _basic(kafka),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    try:
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=timeout) as pool:
            # Not led elsewhere: the secret is for this place alone.
            answer = pool.request("POST", url, body=form, headers=headers, redirect=False,
                                  preload_content=False)  # fmt: skip
            with answer:
                return answer.status, answer.read(MOST_BYTES)
    except (HTTPError, OSError) as error:
        insecure = tls.refusal(error)
        if insecure is not None or isinstance(error, SSLError):
            raise BadSettings(
                f"{url}: {insecure or 'TLS fails'}; check sasl_oauthbearer_cafile and the URL"
            ) from None
        raise Unavailable(f"{url} does not answer ({type(error).__name__})") from None


def _basic(kafka: Kafka) -> str:
    """Return the client's credentials as a header (RFC 6749, section 2.3.1)."""
    client = kafka.sasl_oauthbearer_client_id or ""
    secret = kafka.secret("sasl_oauthbearer_client_secret") or ""
    pair = f"{quote_plus(client)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _token(body: bytes, url: str) -> Token:
    text, seconds = _member(body, "access_token"), _member(body, "expires_in")
    if not isinstance(text, str) or not TOKEN.fullmatch(text):
        raise Unavailable(f"{url} answers without a token")
    try:
        lifetime = float(seconds)
    except (TypeError, ValueError, OverflowError):
        lifetime = DEFAULT_LIFETIME
    if not lifetime > 0:
        raise Unavailable(f"{url} gives a token that has ended already")
    return Token(text, min(max(lifetime, SHORTEST), LONGEST))


def _member(body: bytes, name: str) -> Any:
    """Return a member of a JSON object, None where it is none or has none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found.get(name) if isinstance(found, dict) else None
