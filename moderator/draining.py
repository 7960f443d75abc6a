"""Have a running member drain, and take one that is gone for good out of its group.

The member is asked over its own port, which takes this from its own machine only: so it works from
a container's preStop hook, and from nowhere else. A static member (KIP-345) keeps its place in
the group until its session ends; ``leave`` gives the place up at once, whether the member has just
drained or died long ago. Knows nothing of posts.
"""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from moderator.errors import BadSettings, Unavailable
from moderator.probes import DRAIN, NAME_HEADER
from moderator.settings import Kafka, Settings

ANSWER = 5.0
"""Seconds that one answer of the member may take."""

LEAVING = 10.0
"""Seconds beyond the drain time until a member must be gone: it leaves, and frees its memory."""

LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a member said when it was asked to drain."""

    status: int
    text: str


def member_name(kafka: Kafka) -> str:
    """Return what tells a member from every other, as JSON: group, instance and static name."""
    return json.dumps([kafka.group, kafka.instance, kafka.group_instance_id])


def run_drain(settings: Settings, out: Console, *, leave: bool) -> int:
    """Drain the member of these settings on this machine, if it runs, and have it leave.

    Args:
        settings: Those of the member.
        out: Where it is said what was done.
        leave: Whether a static member gives up its place in the group for good.

    Returns:
        The exit code: 0, or 1 where the member is still there after its drain time.

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
    answer = ask(settings)
    if answer is None or answer.status != 202:
        said = _not_here(settings, answer)
        if not leave:
            raise Unavailable(said)
        out.print(said, highlight=False, soft_wrap=True)
    elif not _gone(settings, begin + settings.pipeline.drain_timeout + LEAVING):
        out.print(f"still there after {time.monotonic() - begin:.1f} s", highlight=False)
        return 1
    else:
        out.print(f"drained and ended after {time.monotonic() - begin:.1f} s", highlight=False)
    if leave:
        _say_left(settings.kafka, out)
    return 0


def ask(settings: Settings) -> Answer | None:
    """Ask the member to drain; None where nothing answers at its port."""
    return _request(settings, "POST")


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


def _not_here(settings: Settings, answer: Answer | None) -> str:
    at = f"{_host(settings)}:{settings.serving.http_port}"
    if answer is None:
        return f"no member answers at {at}; check http_host and http_port"
    return f"no draining at {at}: {answer.text}"


def _gone(settings: Settings, deadline: float) -> bool:
    """Wait until the member's port is closed, which is the last thing it does."""
    return _until(lambda: _request(settings, "HEAD") is None, deadline)


def _until(condition: Callable[[], bool], deadline: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True


def _request(settings: Settings, method: str) -> Answer | None:
    connection = http.client.HTTPConnection(
        _host(settings), settings.serving.http_port, timeout=ANSWER
    )
    try:
        path = DRAIN if method == "POST" else "/livez"
        connection.request(method, path, headers={NAME_HEADER: member_name(settings.kafka)})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace").strip())
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error) or type(error).__name__)
    finally:
        connection.close()


def _host(settings: Settings) -> str:
    """Return where a member of this machine answers; one that listens everywhere: on loopback."""
    host = settings.serving.http_host
    return "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 - compared, not listened on
