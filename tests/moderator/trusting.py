"""``moderator`` that takes one server of a test for every host that is allowed.

``TRUSTED_PORT`` and ``TRUSTED_CERT`` say which; nothing else differs from the command itself.
"""

import os
import ssl

from moderator import assembly, cli
from moderator.fetching.fetch import Fetcher
from moderator.held import Held
from moderator.settings import Settings


def fetching(settings: Settings, fetcher: None) -> Held[Fetcher]:
    assert fetcher is None
    context = ssl.create_default_context(cafile=os.environ["TRUSTED_CERT"])
    address = ("127.0.0.1", int(os.environ["TRUSTED_PORT"]))
    made = Fetcher(
        settings.fetch,
        settings.limits.max_post_bytes,
        resolver=lambda host, port, timeout: [address],
        context=context,
    )
    return Held(made, made.close)


if __name__ == "__main__":
    # A name that is not there would leave the worker as it is, unnoticed.
    assert callable(assembly._fetching)
    assembly._fetching = fetching
    cli.main()
