"""``moderator`` that takes one server of a test for every host that is allowed.

``TRUSTED_PORT`` and ``TRUSTED_CERT`` say which; nothing else differs from the command itself.
"""

import os
import ssl
from contextlib import ExitStack

from moderator import assembly, cli
from moderator.fetching.fetch import Fetcher
from moderator.settings import Settings


def fetcher(settings: Settings, stack: ExitStack) -> Fetcher:
    context = ssl.create_default_context(cafile=os.environ["TRUSTED_CERT"])
    address = ("127.0.0.1", int(os.environ["TRUSTED_PORT"]))
    made = Fetcher(
        settings.fetch,
        settings.limits.max_post_bytes,
        resolver=lambda host, port, timeout: [address],
        context=context,
    )
    stack.callback(made.close)
    return made


if __name__ == "__main__":
    assembly._fetcher = fetcher
    cli.main()
