"""Have a running member drain, and take one that is gone for good out of its group.

The member is asked over its Unix socket (``moderator.drain_socket``): so it works from a
container's preStop hook. A static member (KIP-345) keeps its place in the group until its session
ends; ``leave`` gives the place up at once, whether the member has just drained or died long ago.
"""

import os
import select
import time
from pathlib import Path

from rich.console import Console

from moderator.drain_socket import Member, ask, default_folder, member_name, members, socket_path
from moderator.errors import BadSettings, Unavailable
from moderator.settings import Kafka, Settings

LEAVING = 10.0
"""Seconds beyond the drain time until a member must be gone: it leaves, and frees its memory."""

NAMING = ("group", "instance", "group_instance_id")
"""Settings that name a member; where none is given, the only member of this machine is meant."""


def run_drain(settings: Settings, out: Console, *, leave: bool) -> int:
    """Drain the member of these settings on this machine, if it runs, and have it leave.

    Args:
        settings: Those of the member; where they do not name it, the only one that runs here.
        out: Where it is said what was done.
        leave: Whether a static member gives up its place in the group for good.

    Returns:
        The exit code: 0, or 1 where the member's process is still there after its drain time.

    Raises:
        BadSettings: ``leave`` without ``group_instance_id``, or the brokers refuse.
        Unavailable: No such member runs here, or the brokers cannot be reached.
    """
    if leave and settings.kafka.group_instance_id is None:
        raise BadSettings(
            "--leave is for static members and needs their group_instance_id; a dynamic one leaves "
            "when it drains"
        )
    begin = time.monotonic()
    folder = settings.serving.runtime_folder or default_folder()
    member = _asked(settings.kafka, folder)
    if member is None:
        said = _not_here(settings.kafka, folder)
        if not leave:
            raise Unavailable(said)
        out.print(said, highlight=False, soft_wrap=True)
    elif not _gone(member, begin + settings.pipeline.drain_timeout + LEAVING):
        out.print(f"still there after {time.monotonic() - begin:.1f} s", highlight=False)
        return 1
    else:
        out.print(f"drained and ended after {time.monotonic() - begin:.1f} s", highlight=False)
    if leave:
        _say_left(settings.kafka, out)
    return 0


def _asked(kafka: Kafka, folder: Path) -> Member | None:
    """Ask the member that is meant to drain; None where it does not run here."""
    wanted = socket_path(folder, member_name(kafka))
    if not wanted.exists() and not kafka.model_fields_set & set(NAMING):
        running = [path for path, _ in members(folder)]
        wanted = running[0] if len(running) == 1 else wanted
    return ask(wanted, drain=True)


def remove_member(kafka: Kafka) -> bool:
    """Take the static member out of its group; return whether it was in it.

    Raises:
        BadSettings: The brokers refuse it.
        Unavailable: They cannot be reached, or fail.
    """
    from kafka.admin import MemberToRemove
    from kafka.errors import (
        GroupAuthorizationFailedError,
        KafkaError,
        NoError,
        UnknownMemberIdError,
    )

    from moderator.streaming.clients import admin

    client = admin(kafka)
    try:
        wanted = MemberToRemove(
            group_instance_id=kafka.group_instance_id, reason="moderator drain --leave"
        )
        (result,) = client.remove_group_members(kafka.group, [wanted]).values()
    except (UnknownMemberIdError, GroupAuthorizationFailedError) as error:
        result = type(error)
    except KafkaError as error:
        raise Unavailable(
            f"group {kafka.group}: {type(error).__name__}: {error}; try again"
        ) from None
    finally:
        client.close()
    if result is GroupAuthorizationFailedError:
        raise BadSettings(f"no permission to read group {kafka.group}; grant this user READ on it")
    if result not in (NoError, UnknownMemberIdError):
        raise Unavailable(f"group {kafka.group}: {result.__name__}; try again")
    return result is NoError


def _say_left(kafka: Kafka, out: Console) -> None:
    begin = time.monotonic()
    if remove_member(kafka):
        said = f"left group {kafka.group} for good, within {time.monotonic() - begin:.1f} s"
    else:
        said = f"is not in group {kafka.group}; nothing to leave"
    out.print(f"{kafka.group_instance_id} {said}", highlight=False, soft_wrap=True)


def _not_here(kafka: Kafka, folder: Path) -> str:
    running = ", ".join(member.name for _, member in members(folder)) or "none"
    return (
        f"no member {member_name(kafka)} (group, instance, group_instance_id) listens in {folder}; "
        f"members there: {running}; give the member's settings, runtime_folder among them"
    )


def _gone(member: Member, deadline: float) -> bool:
    """Wait until a member's process has ended; return whether it has."""
    try:
        process = os.pidfd_open(member.process)
    except ProcessLookupError:
        return True
    try:
        left = max(0.0, deadline - time.monotonic())
        return bool(select.select([process], [], [], left)[0])
    finally:
        os.close(process)
