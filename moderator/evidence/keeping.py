"""Join the parts that keep evidence, from settings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from models.spec import InputSpec
from moderator.assembly import decode_limits
from moderator.decoding.copies import CopyPool
from moderator.errors import BadSettings
from moderator.evidence.files import open_files
from moderator.evidence.keeper import Keeper
from moderator.evidence.store import EvidenceStore
from moderator.evidence.sweeper import Sweeper
from moderator.settings import Settings

__all__ = ["Keeper", "keeping"]

PROCESSES = 1
"""Processes that make copies, as few posts are flagged."""


def copy_processes(settings: Settings) -> int:
    """Return how many processes make copies, 0 where no evidence is kept."""
    evidence = settings.evidence
    if evidence.evidence_url is None:
        return 0
    return settings.pipeline.decode_processes if evidence.evidence_of == "all" else PROCESSES


@contextmanager
def keeping(settings: Settings, spec: InputSpec) -> Iterator[Keeper | None]:
    """Keep evidence and sweep it while this lasts; None where no place for it is set.

    A store over a network need not be there: what fails then is metrics and a line in the log.

    Raises:
        BadSettings: The place is of no known store, or a folder that cannot be made.
    """
    evidence = settings.evidence
    if evidence.evidence_url is None:
        yield None
        return
    files = open_files(evidence.evidence_url)
    try:
        files.prepare()
    except OSError as error:
        raise BadSettings(
            f"evidence_url {evidence.evidence_url}: the folder cannot be made "
            f"({error.strerror}); name one that this user may write to"
        ) from None
    store = EvidenceStore(files)
    with ExitStack() as stack:
        pool = CopyPool(
            spec,
            processes=copy_processes(settings),
            limits=decode_limits(settings.limits),
            max_side=evidence.evidence_max_side,
        )
        stack.callback(pool.close)
        keeper = Keeper(
            store,
            pool,
            everything=evidence.evidence_of == "all",
            timeout=evidence.evidence_timeout,
            connections=evidence.evidence_connections,
        )
        stack.callback(keeper.close)
        if evidence.evidence_sweep:
            sweeper = Sweeper(store, evidence.evidence_retention, evidence.evidence_sweep)
            stack.callback(sweeper.close)
        yield keeper
