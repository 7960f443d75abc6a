"""Show releases to people and machines: ``moderator release list|show|verify``. Changes nothing."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from models.errors import BadRelease
from models.prototypes import KINDS
from models.release import Listed, Release, load_release
from moderator.errors import BadSettings
from moderator.rollout.sanity import FLAGS_ALL, flags_nearly_all

BREAKDOWN = "by_"
"""Part of the names under which a report breaks figures down; people are shown the sums."""


class Listing(Protocol):
    """The part of a store of releases that listing uses."""

    @property
    def place(self) -> str: ...  # noqa: D102
    def list(self) -> Sequence[Listed]: ...  # noqa: D102


def run_list(
    store: Listing, out: Console, *, as_json: bool, marks: Mapping[str, str] | None = None
) -> int:
    """Print the releases in a folder or at a URL, oldest first, by their manifests.

    Args:
        store: Of releases.
        out: Where they are printed.
        as_json: Print a JSON object a line.
        marks: What releases do in the group, by id, such as ``active``.

    Returns:
        The exit code: 0, or 1 where one of them is damaged.

    Raises:
        BadRelease: The folder cannot be read.
        BadSettings: It holds no release.
        Unavailable: The store cannot be reached.
    """
    found = store.list()
    if not found:
        raise BadSettings(f"{store.place} holds no releases; name a folder of release directories")
    for listed in found:
        if as_json:
            mark = (marks or {}).get(listed.id)
            _line(out, json.dumps({**_listed(listed), "role": mark}))
        else:
            cells = [listed.id, listed.created, listed.network_digest[:23], str(listed.path)]
            cells += [(marks or {})[listed.id]] if listed.id in (marks or {}) else []
            _line(out, listed.fault or "\t".join(cells))
    return 1 if any(listed.fault for listed in found) else 0


def run_show(directory: Path, out: Console, *, as_json: bool) -> int:
    """Print what a release holds, all of its digests verified.

    Raises:
        BadRelease: It is absent or damaged.
    """
    release = load_release(directory)
    _describe(out, release, {}, as_json=as_json)
    return 0


def run_verify(
    directory: Path, device: str, out: Console, *, as_json: bool, flags_all: bool = False
) -> int:
    """Verify every digest of a release and its network's results on a device, and say so.

    Raises:
        BadRelease: It is absent or damaged, the network gives something else, or it flags nearly
            everything without ``flags_all``.
        BadNetwork: There is no such device.
    """
    release = load_release(directory)
    from models.device import resolve_device

    resolved = resolve_device(device)
    release.load_network(resolved)
    wrong = flags_nearly_all(release)
    if wrong and not flags_all:
        raise BadRelease(f"{wrong}; {FLAGS_ALL}")
    verified = {"verified": f"all digests, and the network's results on {resolved}"}
    verified |= {"warning": wrong} if wrong else {}
    _describe(out, release, verified, as_json=as_json)
    return 0


def described(release: Release) -> dict[str, Any]:
    """Return what a release holds, as plain data."""
    spec, manifest = release.spec, release.manifest
    kinds = Counter(release.prototypes.kinds)
    return {
        "id": release.id,
        "path": str(release.path),
        "created": manifest.get("created"),
        "git_commit": manifest.get("git_commit"),
        "dataset_digest": manifest.get("dataset_digest"),
        "network_digest": release.network_digest,
        **({} if release.head is None else {"head_digest": release.head.digest}),
        "backbone": spec.backbone,
        "pooling": spec.pooling,
        "dimension": release.index.dimension,
        "input_sizes": [list(size) for size in spec.input.sizes],
        "prototypes": {kind: kinds[kind] for kind in KINDS},
        "types": len(release.types.names),
        **({} if release.head is None else {"classes": release.classes}),
        "policy": {**release.policy.to_json(), "version": release.policy.version},
        "report": dict(release.report),
    }


def _describe(out: Console, release: Release, more: Mapping[str, str], *, as_json: bool) -> None:
    body = {**described(release), **more}
    if as_json:
        _line(out, json.dumps(body))
        return
    policy, report = body.pop("policy"), body.pop("report")
    body["input_sizes"] = ", ".join(f"{height}x{width}" for height, width in body["input_sizes"])
    body["prototypes"] = ", ".join(f"{n} {kind}" for kind, n in body["prototypes"].items() if n)
    body["threshold"] = (
        f"{policy['threshold']:.4f} (and {len(policy['thresholds'])} of single types), "
        f"near misses {policy['near_miss']:.4f} below"
    )
    for name, value in body.items():
        _line(out, f"{name.replace('_', ' '):<15} {'unknown' if value is None else value}")
    for name, value in _figures(report.get("figures", report)):
        _line(out, f"{'report':<15} {name}: {value}")
    for note in report.get("notes", ()):
        _line(out, f"{'note':<15} {note}")


def _figures(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the figures of a report, those in objects named by their path, without breakdowns."""
    for name, value in report.items():
        if BREAKDOWN in name:
            continue
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            yield f"{prefix}{name}", f"{value:.4g}"
        elif isinstance(value, str | int):
            yield f"{prefix}{name}", str(value)


def _listed(listed: Listed) -> dict[str, Any]:
    return {
        "id": listed.id or None,
        "path": str(listed.path),
        "created": listed.created or None,
        "network_digest": listed.network_digest or None,
        "fault": listed.fault,
    }


def _line(out: Console, text: str) -> None:
    # Programs read it: nothing is to be wrapped, nor a tab turned into spaces.
    out.file.write(f"{text}\n")
