"""``moderator release activate|rollback|stage|shadow|status``: verify, then tell the group.

What these commands write, members bring about by themselves.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from models.errors import BadRelease
from models.release import Release, load_release
from moderator.errors import BadSettings
from moderator.rollout.control import RELEASE_ID, Control
from moderator.rollout.register import read_control, write_control
from moderator.rollout.sanity import FLAGS_ALL, flags_nearly_all
from moderator.rollout.store import open_store
from moderator.settings import Settings

OWN = "the release of each member's own setting"


def run_activate(settings: Settings, target: str, out: Console, *, flags_all: bool = False) -> int:
    """Verify a release, here and whole, and have the group serve it.

    Args:
        settings: Brokers, group, ``releases_url``, and the device that the network is tried on.
        target: Id of a release in ``releases_url``, or the directory of one; that is copied there
            where it is not there yet.
        out: Where it is said.
        flags_all: Also where it flags nearly everything.

    Raises:
        BadRelease: It is absent or damaged, the network fails its self-test, or it flags nearly
            everything; nothing changed.
        BadSettings: There is no control topic, or the release cannot be copied.
        Unavailable: Brokers or store cannot be reached.
    """
    before = read_control(settings)
    release = _verified(settings, target, out, flags_all=flags_all)
    write_control(settings, before.activated(release.id).knowing(release.id, release.digest))
    _say(out, f"activated {release.id} for group {settings.kafka.group}; before: {_named(before)}")
    return 0


def run_rollback(settings: Settings, out: Console) -> int:
    """Have the group serve the release again that was active before, and nothing staged.

    Done twice, it goes back and forth between two releases.

    Raises:
        BadRelease: That release is absent or damaged; nothing changed.
        BadSettings: None was active before, or there is no control topic.
        Unavailable: Brokers or store cannot be reached.
    """
    before = read_control(settings)
    after = before.rolled_back()
    if after.release is not None:
        release = _verified(settings, after.release, out, flags_all=True)
        expected = before.digests.get(release.id, release.digest)
        if release.digest != expected:
            raise BadRelease(
                f"{release.path} has the id {release.id} but is not the release that was active: "
                f"its manifest's SHA-256 is {release.digest}, not {expected}"
            )
    write_control(settings, after)
    _say(
        out,
        f"rolled back to {_named(after)} for group {settings.kafka.group}; before: "
        f"{_named(before)}, to which another rollback returns",
    )
    return 0


def run_stage(
    settings: Settings,
    target: str | None,
    fraction: float,
    out: Console,
    *,
    flags_all: bool = False,
) -> int:
    """Have a share of the posts judged by another release; without one, by none.

    Raises:
        BadRelease: It is absent or damaged, fails its self-test, or flags nearly everything
            without ``flags_all``; nothing changed.
        BadSettings: The fraction is not in 0..1, or there is no control topic.
        Unavailable: Brokers or store cannot be reached.
    """
    if target is not None and not 0 < fraction <= 1:
        raise BadSettings(f"--fraction {fraction:g} is no share of posts; give one in 0..1")

    def changed(control: Control, release_id: str | None) -> Control:
        share = fraction if release_id else 0.0
        return replace(control, staged=release_id, fraction=share)

    share = f"{fraction:.4g} of posts"
    return _candidate(settings, target, "staged", changed, out, share=share, flags_all=flags_all)


def run_shadow(settings: Settings, target: str | None, out: Console) -> int:
    """Have another release judge the same posts for the shadow topic alone; without one, none.

    Raises:
        BadRelease: It is absent or damaged, or fails its self-test; nothing changed.
        BadSettings: There is no control topic, or no shadow topic.
        Unavailable: Brokers or store cannot be reached.
    """
    if not settings.topics.shadow_topic:
        raise BadSettings("shadow_topic is empty: nothing can be shadowed; set it")
    return _candidate(
        settings,
        target,
        "shadow",
        lambda control, release_id: replace(control, shadow=release_id),
        out,
        share=f"decisions go to {settings.topics.shadow_topic}",
        # A shadow flags nothing.
        flags_all=True,
    )


def run_status(settings: Settings, out: Console, *, as_json: bool) -> int:
    """Print what the group is to serve.

    Raises:
        BadSettings: There is no control topic.
        Unavailable: The brokers cannot be reached.
    """
    control = read_control(settings)
    body = {
        "group": settings.kafka.group,
        "active": control.release,
        "history": list(control.history),
        "staged": control.staged,
        "staged_fraction": control.fraction,
        "shadow": control.shadow,
    }
    if as_json:
        _say(out, json.dumps(body))
        return 0
    _say(out, f"group   {settings.kafka.group}")
    _say(out, f"active  {_named(control)}")
    _say(out, f"before  {', '.join(each or OWN for each in control.history) or 'none'}")
    staged = f"{control.staged} for {control.fraction:.4g} of posts" if control.staged else "none"
    _say(out, f"staged  {staged}")
    _say(out, f"shadow  {control.shadow or 'none'}")
    return 0


def _candidate(
    settings: Settings,
    target: str | None,
    role: str,
    changed: Callable[[Control, str | None], Control],
    out: Console,
    *,
    share: str,
    flags_all: bool,
) -> int:
    before = read_control(settings)
    if target is None:
        write_control(settings, changed(before, None))
        _say(out, f"{role}: none for group {settings.kafka.group}")
        return 0
    release = _verified(settings, target, out, flags_all=flags_all)
    if release.id == before.release:
        raise BadSettings(f"release {release.id} is the active one; name another")
    write_control(settings, changed(before, release.id).knowing(release.id, release.digest))
    _say(out, f"{role}: {release.id} for group {settings.kafka.group}, {share}")
    return 0


def _verified(settings: Settings, target: str, out: Console, *, flags_all: bool) -> Release:
    """Return a release whose digests and self-test are right and that members can find.

    One that flags nearly everything is refused without ``flags_all``, and told of with it.
    """
    store = open_store(settings)
    path = Path(target)
    by_id = re.fullmatch(RELEASE_ID, target) is not None and not path.is_dir()
    release = load_release(store.find(target) if by_id else path)
    from models.device import resolve_device

    release.load_network(resolve_device(settings.pipeline.device))
    wrong = flags_nearly_all(release)
    if wrong and not flags_all:
        raise BadRelease(f"{wrong}; {FLAGS_ALL}")
    if wrong:
        _say(out, f"warning {wrong}")
    if not by_id and store.add(release.id, release.path):
        _say(out, f"copied  {release.path} to {store.place}")
    return release


def _named(control: Control) -> str:
    return control.release or OWN


def _say(out: Console, text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
