"""Choose the policy of a release anew on other photographs; network and prototypes stay.

Joins the other parts of this package; holds no method of its own.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from models.errors import BadRelease
from models.release import Release
from training.calibration.choice import choose_policy
from training.calibration.frames import flag_scores_of
from training.calibration.sanity import refuse_flagging_all, warn_flagging_nothing
from training.calibration.settings import PolicySettings
from training.commit import commit
from training.errors import BadInput
from training.evaluation import DIGEST_DIGITS, Judge, firearms_of, look_at, side_summary
from training.folder import Photo, dataset_digest
from training.material import Material, embed_with_regions, gathered_photos
from training.release import check_out, check_room, write
from training.report import with_sides
from training.splits import Sides
from training.stages.trained import stored_half

if TYPE_CHECKING:
    from models.network import RetrievalNetwork


@dataclass(frozen=True)
class Photographs:
    """Which photographs a policy is chosen on, and which are only to be tested on.

    Args:
        images: See ``training.recipe.Recipe``.
        lookalikes: Likewise.
        groups: Likewise.
        test_sources: Sources that are left out of everything but the test.

    Raises:
        BadInput: Sources are named without a table of them.
    """

    images: Path
    lookalikes: Path | None = None
    groups: Path | None = None
    test_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.test_sources and self.groups is None:
            raise BadInput("sources can only be held out with --groups, the table that names them")


def recalibrate(
    release: Release,
    given: Photographs,
    settings: PolicySettings,
    out: Path,
    console: Console,
    *,
    replace: bool = False,
    flags_all: bool = False,
) -> Release:
    """Write a release with another policy.

    Photographs that are prototypes, and near copies of them, are left out: they would be found
    again, whatever the network is worth.

    Args:
        release: It stays as it is.
        given: Photographs.
        settings: What the policy is to be like.
        out: The new release's directory.
        console: For progress and what was found.
        replace: Whether a release that is there already gives way once the new one is whole.
        flags_all: Write it although it flags nearly everything.

    Raises:
        BadInput: Photographs or options cannot be used, or it would flag nearly everything.
        ModelError: The network cannot be loaded, or the new release cannot be written.
    """
    check_out(out, replace=replace)
    if release.policy.head is not None:
        raise BadInput(
            f"{release.path} judges by a head, whose policy is chosen along with it; "
            "make the head anew instead"
        )
    photos, copies = _photos(release, given)
    network = release.load_network("cpu", fold=False)
    check_room(out, network)
    material = _material(network, photos, given.test_sources, copies, console)
    frames = look_at(settings, material, material.sides.threshold, release.index)
    held_out = [material.photos[n] for n in material.sides.threshold]
    policy = choose_policy(frames, firearms_of(held_out), settings)
    policy = dataclasses.replace(policy, near_radius=release.policy.near_radius)
    judge = Judge(settings, policy, release.prototypes, release.types)
    scores, firearm = flag_scores_of(frames, policy), firearms_of(held_out)
    harmless = scores[~firearm]
    warn_flagging_nothing(policy, scores[firearm], harmless, console)
    refuse_flagging_all(network, release.index, policy, harmless, console, allowed=flags_all)
    written = write(
        out,
        replace=replace,
        network=network,
        prototypes=release.prototypes,
        types=release.types,
        policy=policy,
        report={
            **release.report,
            "notes": with_sides(release.report.get("notes", ())),
            "policy": policy.to_json(),
            **judge.report(frames, material, release.index),
            "unreadable": list(material.unreadable),
            **_provenance(release, settings, material),
        },
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=commit(),
        dataset_digest=release.manifest.get("dataset_digest"),
        half_weights=stored_half(release.path),
        head=release.head,
    )
    if written.network_digest != release.network_digest:
        raise BadRelease(f"{out} holds another network than {release.path}; make the release anew")
    return written


def _provenance(release: Release, settings: PolicySettings, material: Material) -> dict[str, Any]:
    sides = material.sides
    return {
        "calibrated": {
            "from_release": release.id,
            "settings": asdict(settings),
            "dataset_digest": dataset_digest(material.photos),
            "left_out_as_prototypes": sides.dropped,
        },
        "threshold_photographs": {
            **side_summary(material, sides.threshold),
            "digests": [material.photos[n].digest[:DIGEST_DIGITS] for n in sides.threshold],
        },
        "test_photographs": side_summary(material, sides.test),
    }


def _photos(release: Release, given: Photographs) -> tuple[list[Photo], int]:
    """Return photographs that are no prototypes nor near copies of one, and how many were."""
    photos = gathered_photos(given.images, given.lookalikes, given.groups)
    known = {photo.source for photo in photos}
    for source in given.test_sources:
        if source not in known:
            raise BadInput(f"no photograph is of the source {source!r}; see the table of groups")
    indexed = {name.rpartition("/")[2] for name in release.prototypes.ids}
    copied = {photo.group for photo in photos if photo.digest[:DIGEST_DIGITS] in indexed}
    kept = [photo for photo in photos if photo.group not in copied]
    _check_left(kept, given.test_sources)
    return kept, len(photos) - len(kept)


def _check_left(photos: Sequence[Photo], test_sources: Sequence[str]) -> None:
    if not any(photo.firearm and photo.source not in test_sources for photo in photos):
        raise BadInput(
            "no firearm is left to set the threshold: all are prototypes of the release, near "
            "copies of one, or of test sources; give others"
        )
    left = {photo.source for photo in photos}
    for source in test_sources:
        if source not in left:
            raise BadInput(
                f"all photographs of the source {source!r} are prototypes of the release or near "
                "copies of one; test on another"
            )


def _material(
    network: "RetrievalNetwork",
    photos: Sequence[Photo],
    test_sources: Sequence[str],
    copies: int,
    console: Console,
) -> Material:
    every = range(len(photos)) if network.spec.regions else ()
    rows, regions, failed = embed_with_regions(network, photos, every, console)
    kept = [n for n in range(len(photos)) if n not in failed]
    readable = [photos[n] for n in kept]
    _check_left(readable, test_sources)
    test = {n for n, photo in enumerate(readable) if photo.source in test_sources}
    # A near copy of what sets the threshold tests nothing.
    taken = {photo.group for n, photo in enumerate(readable) if n not in test}
    return Material(
        photos=tuple(readable),
        rows=rows[kept],
        sides=Sides(
            prototypes=(),
            threshold=tuple(n for n in range(len(readable)) if n not in test),
            test=tuple(n for n in sorted(test) if readable[n].group not in taken),
            dropped=copies,
        ),
        unreadable=tuple(failed.values()),
        regions={new: regions[old] for new, old in enumerate(kept) if old in regions},
    )
