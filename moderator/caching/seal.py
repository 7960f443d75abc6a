"""Seal cache entries, so that only members that know the secret can write one that is taken."""

import hashlib
import hmac

MAC_BYTES = 16
"""Bytes of HMAC-SHA256 (RFC 2104, truncated) behind an entry."""


class Seal:
    """Signs entries and checks them; without a secret it leaves them as they are.

    Args:
        secret: What all members share; None: entries are not sealed.
    """

    def __init__(self, secret: str | None) -> None:
        # The cache's key of its own: the secret may sign other things too.
        self._key = (
            None if secret is None else hashlib.sha256(b"moderator cache\0" + secret.encode())
        )

    @property
    def size(self) -> int:
        """Bytes that a seal adds to an entry."""
        return 0 if self._key is None else MAC_BYTES

    def sealed(self, name: str, entry: bytes) -> bytes:
        """Return an entry with its seal behind it; it is valid under this name alone."""
        return entry + self._mac(name, entry)

    def opened(self, name: str, value: bytes) -> bytes | None:
        """Return the entry of a sealed value; None where it was not sealed so, under this name."""
        if self._key is None:
            return value
        entry, mac = value[:-MAC_BYTES], value[-MAC_BYTES:]
        return entry if hmac.compare_digest(mac, self._mac(name, entry)) else None

    def _mac(self, name: str, entry: bytes) -> bytes:
        if self._key is None:
            return b""
        # The name is of fixed length for a network, so that nothing moves between the two.
        message = b"%d:%s" % (len(name), name.encode()) + entry
        return hmac.digest(self._key.digest(), message, "sha256")[:MAC_BYTES]
