"""Say which releases a group is to serve, where its brokers are at hand; else say nothing."""

import socket
from collections.abc import Mapping

from moderator.errors import ModeratorError
from moderator.settings import Settings

GLANCE = 0.5
"""Seconds in which a broker has to take a connection; whoever lists a folder may have none."""


def marks(settings: Settings) -> Mapping[str, str]:
    """Return what releases are to do, by id: active, staged or shadow; none where nobody knows."""
    if not settings.topics.control_topic or not _at_hand(settings.kafka.bootstrap_servers):
        return {}
    from moderator.rollout.register import read_control

    try:
        control = read_control(settings)
    except ModeratorError:
        return {}
    roles = {"shadow": control.shadow, "staged": control.staged, "active": control.release}
    return {release: role for role, release in roles.items() if release}


def _at_hand(servers: str) -> bool:
    for each in servers.split(","):
        host, _, port = each.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), GLANCE):
                return True
        except (OSError, ValueError):
            continue
    return False
