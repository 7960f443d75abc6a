"""A decode process that does what it is told, on a kernel without seccomp. Not a test itself."""

import sys

from moderator.decoding import decode_process, sandbox
from tests.moderator.decoding import probing_process, refusing_process

if __name__ == "__main__":
    decode_process.decode = probing_process.decode  # type: ignore[assignment]
    sandbox.confine = refusing_process.confine
    sys.argv[0] = "moderator.decoding.decode_process"
    decode_process.main()
