"""Bring what a member serves in step with what the control topic says, beside its work.

A new release is found, verified, loaded and warmed on a thread of its own while the old one goes
on; then they are swapped between batches, and the old one is closed after its last batch. A
release that cannot be served is refused: one line, a metric, and what is served stays.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from models.errors import BadRelease, ModelError
from models.release import Release, load_release
from moderator.errors import ModeratorError, Unavailable
from moderator.records import utc
from moderator.rollout.control import Control
from moderator.rollout.servable import OpenOverlay, Servable, ready_servable
from moderator.rollout.shadow import cast_shadow
from moderator.rollout.store import ReleaseStore
from moderator.rollout.switch import InUse, Switch
from moderator.settings import Settings

logger = logging.getLogger(__name__)

RELEASE_INFO = Gauge(
    "moderator_release_info",
    "1 for each release that is loaded, by what it does: active, staged or shadow.",
    ["release", "network", "policy", "role"],
)
REFUSED = Counter(
    "moderator_releases_refused_total",
    "Releases that the control topic named and that could not be served, by role.",
    ["role"],
)
SWAPS = Counter("moderator_release_swaps_total", "Changes of the active release while serving.")
LOADING_SECONDS = Histogram(
    "moderator_release_loading_seconds",
    "Seconds to find, verify, load and warm a release beside the one that is served.",
    buckets=(0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

RETRY = (5.0, 300.0)
"""Seconds until a refused release is tried again, and at most: it may be on its way there."""

IDLE = 0.05

JOIN = 5.0
"""Seconds that a release being loaded at the end is waited for; a download may take any time."""

Role = str
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A release that could not be served, why, and when (seconds since 1970)."""

    role: Role
    release: str
    reason: str
    at: float


class Manager:
    """Keeps the releases of a member.

    Args:
        settings: What each release is built with.
        default: The release of the member's own setting, verified.
        store: Where other releases are found.
        open_overlay: Opens the prototypes topic from its beginning.
        stop: The member's; loading is given up once it is set, which ``close`` does too.
    """

    def __init__(
        self,
        settings: Settings,
        default: Release,
        store: ReleaseStore,
        open_overlay: OpenOverlay,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._default = default
        self._store = store
        self._open_overlay = open_overlay
        self._stop = stop
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._wanted = Control()
        self._refusals: dict[Role, Refusal] = {}
        self._switch: Switch | None = None
        self._retry = RETRY[0]
        self._begun = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="releases", daemon=True)

    def want(self, control: Control) -> None:
        """Take note of what is to be served; safe from every thread, never waits."""
        with self._changed:
            self._wanted = control
            self._retry = RETRY[0]
            self._changed.notify_all()

    def start(self) -> Switch | None:
        """Load the release that is wanted, else the member's own, and go on to follow.

        Returns:
            None where the member was stopped meanwhile, whatever loading waits for.

        Raises:
            ModelError: The member's own release cannot be served either.
            ModeratorError: What serving it needs is wrong or not there.
        """
        self._thread.start()
        while not self._begun.is_set() and not self._stop.is_set():
            self._begun.wait(IDLE)
        if self._stop.is_set():
            return None
        if self._failure is not None:
            raise self._failure
        return self._switch

    @property
    def caught_up(self) -> bool:
        """Whether the active release has all of the prototypes topic."""
        return self._switch is not None and self._switch.in_use.active.caught_up

    def close(self) -> None:
        """Close every release; the pipeline must have ended."""
        self._closing.set()
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(JOIN)
            if self._thread.is_alive():
                logger.warning("a release is still being loaded; it ends with the process")
        if self._switch is not None:
            in_use = self._switch.in_use
            if in_use.shadow is not None:
                in_use.shadow.close()
            for servable in (in_use.staged, in_use.active):
                if servable is not None:
                    servable.close()

    def report(self) -> dict[str, Any]:
        """Return what is served and what is wanted, as plain data for /release."""
        wanted = self._wanted
        in_use = self._switch.in_use if self._switch else None
        return {
            "group": self._settings.kafka.group,
            "instance": self._settings.kafka.instance,
            "active": _described(in_use.active if in_use else None),
            "staged": _described(in_use.staged if in_use else None),
            "staged_fraction": in_use.fraction if in_use and in_use.staged else 0.0,
            "shadow": _described(in_use.shadow.servable if in_use and in_use.shadow else None),
            "wanted": {
                "release": wanted.release,
                "staged": wanted.staged,
                "staged_fraction": wanted.fraction,
                "shadow": wanted.shadow,
            },
            "refused": [
                {
                    "role": each.role,
                    "release": each.release,
                    "reason": each.reason,
                    "at": utc(each.at * 1000),
                }
                for each in tuple(self._refusals.values())
            ],
        }

    def _run(self) -> None:
        try:
            switch = self._begin()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._begun.set()
        self._follow(switch)

    def _begin(self) -> Switch:
        wanted = self._wanted.release
        active = self._loaded("active", wanted, None) if wanted else None
        if active is None:
            active = ready_servable(self._settings, self._default, self._open_overlay, self._stop)
        self._switch = switch = Switch(InUse(active))
        self._show(switch)
        return switch

    def _follow(self, switch: Switch) -> None:
        done: Control | None = None
        while not self._closing.is_set():
            with self._changed:
                if self._wanted == done:
                    due = self._retry if self._refusals else None
                    if not self._changed.wait(due) and due is not None:
                        self._retry = min(2 * self._retry, RETRY[1])
                        done = None
                    continue
                done = self._wanted
            try:
                self._bring_about(switch, done)
            except Exception:
                # What is served goes on, whatever happens to what is to come.
                logger.exception("releases: an unexpected error; what is served stays")

    def _bring_about(self, switch: Switch, wanted: Control) -> None:
        """Serve what is wanted, as far as it can be."""
        before = switch.in_use
        active = self._chosen("active", wanted.release or self._default.id, before)
        active = active or before.active
        staged, fraction = None, wanted.fraction
        if wanted.staged and fraction > 0 and wanted.staged != active.release.id:
            staged = self._chosen("staged", wanted.staged, before)
            # Until it is there, nothing is staged; where it is refused, neither.
        else:
            self._refusals.pop("staged", None)
        if self._stop.is_set():
            for servable in _without((active, staged), before):
                servable.close()
            return
        # A shadow leans on the active release that it was made beside.
        kept = before.shadow if active is before.active else None
        if kept is not None and kept.servable.release.id != wanted.shadow:
            kept = None
        now = InUse(active, staged, fraction if staged else 0.0, kept)
        switch.use(now)
        if active is not before.active:
            SWAPS.inc()
            logger.info(
                "serving release %s in place of %s",
                active.release.id,
                before.active.release.id,
            )
        self._show(switch)
        if before.shadow is not None and kept is None:
            before.shadow.close()
        for servable in _without((before.active, before.staged), now):
            servable.await_idle(self._closing)
            if not self._closing.is_set():
                servable.close()
                logger.info("release %s closed", servable.release.id)
        self._cast_shadow(switch, wanted.shadow)

    def _cast_shadow(self, switch: Switch, wanted: str | None) -> None:
        """Begin to shadow, where that is wanted and not done yet."""
        now = switch.in_use
        topic = self._settings.topics.shadow_topic
        if now.shadow is not None or not topic or wanted in (None, now.active.release.id):
            self._refusals.pop("shadow", None)
            return
        shadow = self._tried(
            "shadow",
            str(wanted),
            lambda release: cast_shadow(
                self._settings, release, self._open_overlay, self._stop, now.active
            ),
        )
        if shadow is not None and self._stop.is_set():
            shadow.close()
        elif shadow is not None:
            switch.use(replace(now, shadow=shadow))
            logger.info("release %s shadows %s", wanted, now.active.release.id)
            self._show(switch)

    def _chosen(self, role: Role, release_id: str, before: InUse) -> Servable | None:
        """Return a servable of a release: one that is there, else a new one; None if refused."""
        for servable in (before.active, before.staged):
            if servable is not None and self._is(servable.release, release_id):
                self._refusals.pop(role, None)
                return servable
        return self._loaded(role, release_id, before.active)

    def _loaded(self, role: Role, release_id: str, beside: Servable | None) -> Servable | None:
        return self._tried(
            role,
            release_id,
            lambda release: ready_servable(
                self._settings, release, self._open_overlay, self._stop, beside
            ),
        )

    def _tried(self, role: Role, release_id: str, make: Callable[[Release], T]) -> T | None:
        """Find a release and make something of it; None where it is refused."""
        begin = time.monotonic()
        try:
            made = make(self._release(release_id))
        except (ModelError, ModeratorError) as error:
            self._refuse(role, release_id, str(error))
            return None
        except Exception as error:
            self._refuse(role, release_id, f"{type(error).__name__}: {error}")
            return None
        self._refusals.pop(role, None)
        LOADING_SECONDS.observe(time.monotonic() - begin)
        return made

    def _release(self, release_id: str) -> Release:
        if self._is(self._default, release_id):
            return self._default
        release = load_release(self._store.find(release_id))
        if release.id != release_id:
            raise Unavailable(f"{release.path} holds release {release.id}, not {release_id}")
        if not self._is(release, release_id):
            raise BadRelease(
                f"{release.path} has the id {release_id} but another manifest than was activated: "
                f"its SHA-256 is {release.digest}, not {self._wanted.digests[release_id]}"
            )
        return release

    def _is(self, release: Release, release_id: str) -> bool:
        """Whether a release is the one that is wanted by this id, as far as its digest is told."""
        digest = self._wanted.digests.get(release_id)
        return release.id == release_id and digest in (None, release.digest)

    def _refuse(self, role: Role, release_id: str, reason: str) -> None:
        reason = " ".join(reason.split())
        known = self._refusals.get(role)
        self._refusals[role] = Refusal(role, release_id, reason, time.time())
        if known is None or (known.release, known.reason) != (release_id, reason):
            REFUSED.labels(role).inc()
            logger.error("release %s refused as %s: %s", release_id, role, reason)

    def _show(self, switch: Switch) -> None:
        in_use = switch.in_use
        RELEASE_INFO.clear()
        shadow = in_use.shadow.servable if in_use.shadow else None
        roles = {"active": in_use.active, "staged": in_use.staged, "shadow": shadow}
        for role, servable in roles.items():
            if servable is not None:
                release = servable.release
                RELEASE_INFO.labels(
                    release.id, release.network_digest, release.policy.version, role
                ).set(1)


def _described(servable: Servable | None) -> Mapping[str, Any] | None:
    if servable is None:
        return None
    release = servable.release
    return {
        "release": release.id,
        "network": release.network_digest,
        "policy": release.policy.version,
        "path": str(release.path),
        "prototypes": len(servable.parts.matcher.served.index),
        "overlay": servable.parts.matcher.served.overlay,
        "since": utc(servable.since * 1000),
    }


def _without(servables: Iterable[Servable | None], in_use: InUse) -> list[Servable]:
    """Return those that are there and not in use."""
    return [s for s in servables if s is not None and s not in (in_use.active, in_use.staged)]
