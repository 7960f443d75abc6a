"""TLS of a client: contexts from files, and failures in words. Knows no service.

Certificates and the names in them are always verified; there is no switch.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moderator.errors import BadSettings

EXPIRED, NOT_YET_VALID, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64
"""Codes of OpenSSL (X509_V_ERR_…)."""

UNTRUSTED = (18, 19, 20, 21)
"""Codes of OpenSSL for a chain that leads to no trusted authority."""

ALERTS = {
    "CERTIFICATE_REQUIRED": "it wants a client certificate",
    "CERTIFICATE_EXPIRED": "it says that this client's certificate has expired",
    "CERTIFICATE_UNKNOWN": "it does not accept this client's certificate",
    "UNKNOWN_CA": "it does not trust the authority of this client's certificate",
    "BAD_CERTIFICATE": "it does not accept this client's certificate, or wants one",
    "HANDSHAKE_FAILURE": "it and this client share no way of encrypting",
    "WRONG_VERSION_NUMBER": "it does not speak TLS there",
    "RECORD_LAYER_FAILURE": "it does not speak TLS there",
}
"""What a server's refusal means, by the end of its reason's name."""


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files of a client, named ``<prefix>cafile`` and so on in the settings.

    None for the system's authorities, for no certificate, and for a key in ``certfile``.
    """

    prefix: str
    cafile: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None


def client_context(files: Files, key_password: str | None = None) -> ssl.SSLContext:
    """Return a context that verifies certificates and names, TLS 1.2 at least.

    Raises:
        BadSettings: A file is not what it should be; the text names its setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.cafile is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(files.cafile)
        except (OSError, ValueError) as error:
            raise BadSettings(
                f"{files.prefix}cafile {files.cafile}: {_reason(error)}; name a PEM file of "
                "certificates"
            ) from None
    if files.certfile is not None:
        _load_certificate(context, files, key_password)
    return context


def _load_certificate(context: ssl.SSLContext, files: Files, key_password: str | None) -> None:
    named = f"{files.prefix}certfile {files.certfile}"
    if files.keyfile is not None:
        named += f" and {files.prefix}keyfile {files.keyfile}"
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(str(files.certfile), files.keyfile, key_password or "")
    except (OSError, ValueError) as error:
        reason = "no PEM, or the key's password is wrong"
        if not isinstance(error, ssl.SSLError) or error.reason:
            reason = _reason(error)
        raise BadSettings(
            f"{named}: {reason}; name PEM files of a certificate and its key, and set "
            f"{files.prefix}key_password where the key is encrypted"
        ) from None


def _reason(error: Exception) -> str:
    """Return what is wrong with a file, in a few words."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error).replace("_", " ").lower()


def refusal(error: BaseException) -> str | None:
    """Return why TLS failed for good, as far as the settings are concerned; None for all else.

    Args:
        error: Or what it wraps, as client libraries do.
    """
    for each in _wrapped(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return _unverified(each)
        if isinstance(each, ssl.SSLError) and each.reason:
            for name, meaning in ALERTS.items():
                if each.reason.endswith(name):
                    return meaning
    return None


def _unverified(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == EXPIRED:
        return "its certificate has expired; renew it"
    if code == NOT_YET_VALID:
        return "its certificate is not valid yet; set the clocks right"
    if code in {OTHER_NAME, OTHER_ADDRESS}:
        return "its certificate is for another host name; connect by a name that is in it"
    if code in UNTRUSTED:
        return "its certificate is of an authority that is not trusted"
    return f"its certificate is refused: {error.verify_message}"


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it holds or that led to it."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        held = (each.__cause__, each.__context__, *each.args, getattr(each, "reason", None))
        waiting += [other for other in held if isinstance(other, BaseException)]
