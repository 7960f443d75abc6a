"""How much memory a member takes at most, and whether the container that it runs in has so much.

What images make decode processes take is bounded by the kernel (``decode_memory``). As long as the
sum of all bounds fits into the container, no post can have a member ended for its memory.
"""

from collections.abc import Iterator
from pathlib import Path

from models.control_groups import GROUPS, MEMBERSHIP, around, text_of
from models.spec import InputSpec
from moderator.assembly import slots_for
from moderator.decoding.copies import copy_bytes, slots_of_copies
from moderator.decoding.decoders import DEPTH
from moderator.decoding.view import most_views
from moderator.errors import BadSettings
from moderator.evidence.keeping import copy_processes
from moderator.settings import Settings
from moderator.slots import CHANNELS

UNLIMITED = 2**60
"""Limits from here on are none: version 1 of control groups writes the largest number of pages."""

BASE = 768 * 2**20
"""Bytes of a member at rest: interpreter, torch, the starter release and the Kafka client (576 MiB
measured), and buffers of the connections."""

PER_THREAD = 384 * 2**20
"""Bytes that the starter's network takes for each thread of its forward pass (370 MiB measured)."""

PER_DECODER = 64 * 2**20
"""Bytes of a decode process that are its own before any image, its sockets' buffers included."""

COPIES = 3
"""Copies of a post's bytes while it is on its way: as read, decoded from base64, and as sent."""


def most_memory(settings: Settings, spec: InputSpec) -> int:
    """Return the bytes that a member takes at most, about.

    Args:
        settings: Processes, threads and limits.
        spec: The sizes that the network takes.
    """
    limits, pipeline = settings.limits, settings.pipeline
    decoders = pipeline.decode_processes + copy_processes(settings)
    slot = most_views(limits.max_frames) * spec.max_pixels * CHANNELS
    return (
        BASE
        + pipeline.embed_threads * PER_THREAD
        + decoders * (limits.decode_memory + PER_DECODER)
        + slots_for(settings) * slot
        + _copies(settings)
        + COPIES * pipeline.max_inflight_bytes
        + _fetched(settings)
    )


def check_memory(
    settings: Settings, spec: InputSpec, groups: Path = GROUPS, membership: Path = MEMBERSHIP
) -> None:
    """Refuse settings by which a member may take more memory than its container has.

    Args:
        settings: As ``most_memory`` takes them.
        spec: As ``most_memory`` takes it.
        groups: As ``models.control_groups.around`` takes it.
        membership: As it takes it.

    Raises:
        BadSettings: It may take more.
    """
    limit = min(_limits(groups, membership), default=UNLIMITED)
    needed = most_memory(settings, spec)
    if needed <= limit:
        return
    decoders = settings.pipeline.decode_processes
    raise BadSettings(
        f"a member may take {_gib(needed)}, of which {decoders} decode_processes may take "
        f"{_gib(settings.limits.decode_memory)} each (decode_memory), and its container has "
        f"{_gib(limit)}: it could be ended by a post; lower one of these, or raise the container's "
        "limit"
    )


def _fetched(settings: Settings) -> int:
    """Return the bytes that images by reference take at most in all batches on their way."""
    fetch = settings.fetch
    if not (fetch.allowed_hosts or fetch.allowed_stores or fetch.allowed_root):
        return 0
    return slots_for(settings) * settings.limits.max_post_bytes


def _copies(settings: Settings) -> int:
    """Return the bytes of the slots that copies are made in; 0 where no evidence is kept."""
    processes = copy_processes(settings)
    if not processes:
        return 0
    slots = slots_of_copies(processes) + processes * DEPTH
    return slots * copy_bytes(settings.evidence.evidence_max_side)


def _limits(groups: Path, membership: Path) -> Iterator[int]:
    """Yield the bytes that each group around this process may take, versions 2 and 1."""
    for group in around("memory", groups, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = text_of(group / name)
            if text.isdecimal() and int(text) < UNLIMITED:
                yield int(text)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
