"""Give up files, TCP and signals to others by Landlock, where the kernel has it.

It stands behind the seccomp filter: were a call let through that should not be, this refuses it.

Source: landlock(7) and ``linux/landlock.h``.
"""

import ctypes
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38

CREATE_RULESET, RESTRICT_SELF = 444, 446
"""Numbers of the calls, the same on every machine."""

VERSION = 1
"""The flag by which ``landlock_create_ruleset`` returns the version of what the kernel has."""

FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""By version: how many rights to files there are, each a bit from the lowest on."""

NETWORK, NETWORK_RIGHTS = 4, 0b11
"""The first version with rights to TCP, and these: to bind and to connect."""

SCOPE, SCOPED = 6, 0b11
"""The first version with scopes, and these: abstract sockets and signals."""


def forsake() -> bool:
    """Give up all that Landlock governs, and privileges by exec, for good.

    Returns:
        Whether this kernel could do it.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)
    if version < 1:
        return False
    rights = struct.pack("=Q", (1 << FILE_RIGHTS[max(v for v in FILE_RIGHTS if v <= version)]) - 1)
    if version >= NETWORK:
        rights += struct.pack("=Q", NETWORK_RIGHTS)
    if version >= SCOPE:
        rights += struct.pack("=Q", SCOPED)
    # A ruleset without a rule: nothing that it governs is permitted.
    ruleset = libc.syscall(CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        libc.close(ruleset)
