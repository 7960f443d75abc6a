"""A decode process on a kernel that takes no filter. Not a test itself."""

import errno

from moderator.decoding import decode_process, sandbox


def confine() -> None:
    """Refuse, as where a container's own filter forbids to install one."""
    raise sandbox.SandboxRefused(errno.EPERM, "Operation not permitted")


if __name__ == "__main__":
    sandbox.confine = confine
    decode_process.main()
