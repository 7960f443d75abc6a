"""Make a release of photographs: embed, choose prototypes, set thresholds, report, write.

Joins the other parts of this package; holds no method of its own.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from models import manifest as manifests
from models.index import PrototypeIndex
from models.prototypes import Prototypes
from models.release import Release, load_release, write_release
from training.calibration.choice import choose_policy
from training.calibration.frames import flag_scores_of
from training.calibration.sanity import refuse_flagging_all, warn_flagging_nothing
from training.commit import commit
from training.embedding import embed
from training.errors import BadInput
from training.evaluation import firearms_of, look_at, make_report, prototype_id
from training.folder import dataset_digest
from training.material import Material, gather, rounded
from training.naming import named, read_types
from training.recipe import Recipe
from training.selection import chosen_by_name, clear
from training.stages.space import check_space
from training.stages.trained import stored_half
from training.workfolder import work_folder

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

SAME = 0.999
"""Cosine that a photograph must have to itself when the written release embeds it again."""


def build(
    recipe: Recipe,
    out: Path,
    console: Console,
    *,
    replace: bool = False,
    flags_all: bool = False,
) -> Release:
    """Make a release and write it.

    Args:
        recipe: What of.
        out: The release's directory.
        console: For progress and what was found.
        replace: Whether a release that is there already gives way once the new one is whole.
        flags_all: Write it although it flags nearly everything.

    Raises:
        BadInput: Photographs, tables or options cannot be used, or it would flag nearly everything.
        ModelError: The network cannot be made or the release cannot be written.
    """
    check_out(out, replace=replace)
    table = read_types(recipe.types)
    if recipe.run is not None and stored_half(recipe.run):
        # Taken as it is: written in 32 bits, it would be another network by its digest.
        recipe = dataclasses.replace(recipe, half_weights=True)
    network, material = gather(recipe, console, check=lambda network: check_room(out, network))
    prototypes = choose_prototypes(recipe, material)
    index = PrototypeIndex.build(prototypes)
    frames = look_at(recipe.policy, material, material.sides.threshold, index)
    held_out = [material.photos[n] for n in material.sides.threshold]
    policy = choose_policy(frames, firearms_of(held_out), recipe.policy)
    types = named(types_of(prototypes), table)
    scores, firearm = flag_scores_of(frames, policy), firearms_of(held_out)
    harmless = scores[~firearm]
    warn_flagging_nothing(policy, scores[firearm], harmless, console)
    refuse_flagging_all(network, index, policy, harmless, console, allowed=flags_all)
    written = write(
        out,
        replace=replace,
        network=network,
        prototypes=prototypes,
        types=types,
        policy=policy,
        report=make_report(
            recipe,
            material,
            prototypes=prototypes,
            index=index,
            policy=policy,
            types=types,
            frames=frames,
            spec=network.spec,
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=commit(),
        dataset_digest=dataset_digest(material.photos),
        half_weights=recipe.half_weights,
    )
    _verify(written, material)
    if recipe.run is not None:
        _compare(written, recipe.run, console)
    return written


def check_out(out: Path, *, replace: bool) -> None:
    """Refuse a directory that a release may not take, or that cannot be written.

    Raises:
        BadInput: It is not empty, and is not a release that may be replaced; or its disk is full
            or read-only.
    """
    _check_taken(out, replace=replace)
    check_space(out.absolute().parent, 0, "--out")


def check_room(out: Path, network: "RetrievalNetwork") -> None:
    """Refuse a directory whose disk has no room for a release of this network.

    Raises:
        BadInput: It has not.
    """
    size = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    check_space(out.absolute().parent, size, "--out")


def _check_taken(out: Path, *, replace: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not replace:
        raise BadInput(f"{out} exists already; give another --out, or --replace")
    if not (out / "manifest.json").is_file():
        raise BadInput(f"{out} is not a release, so it is not replaced; give another --out")


def choose_prototypes(recipe: Recipe, material: Material) -> Prototypes:
    """Choose prototypes on their side; embeddings are rounded as a release stores them.

    Raises:
        BadInput: The recipe's margin leaves no firearm.
    """
    side = material.sides.prototypes
    firearms = [n for n in side if material.photos[n].firearm]
    others = [n for n in side if not material.photos[n].firearm]
    if recipe.clear_margin is not None:
        firearms = _clear(material, firearms, others, recipe.clear_margin)
    chosen: list[int] = []
    for places, k in ((firearms, recipe.per_type), (others, recipe.per_kind)):
        names = [material.photos[n].name for n in places]
        found = chosen_by_name(material.rows[places], names, k, recipe.seed, recipe.selection)
        chosen.extend(places[n] for n in found)
    photos = [material.photos[n] for n in chosen]
    return Prototypes(
        embeddings=rounded(material.rows[chosen]),
        ids=tuple(prototype_id(photo.name, photo.digest) for photo in photos),
        types=tuple(photo.name for photo in photos),
        kinds=tuple("firearm" if photo.firearm else "lookalike" for photo in photos),
    )


def _clear(
    material: Material, firearms: Sequence[int], others: Sequence[int], margin: float
) -> list[int]:
    photos = [material.photos[n] for n in firearms]
    kept = clear(
        material.rows[list(firearms)],
        material.rows[list(others)],
        [photo.group for photo in photos],
        [photo.source for photo in photos],
        margin,
    )
    if not kept.any():
        raise BadInput(f"--clear-margin {margin} leaves no firearm; give a lower one")
    return [n for n, keep in zip(firearms, kept, strict=True) if keep]


def types_of(prototypes: Prototypes) -> list[str]:
    """Return the types of the firearms among prototypes, in order."""
    rows = zip(prototypes.types, prototypes.kinds, strict=True)
    return sorted({name for name, kind in rows if kind == "firearm"})


def write(out: Path, *, replace: bool, **parts: Any) -> Release:
    """Write a release as ``models.release.write_release`` does, in the place of another one.

    Args:
        out: Its directory, which ``check_out`` lets pass.
        replace: Whether a release there gives way once the new one is whole.
        parts: See ``models.release.write_release``.

    Raises:
        BadInput: It cannot be written; what was there stays, and nothing is left of the new one.
    """
    try:
        with work_folder(out.absolute().parent, f".{out.name}-") as beside:
            write_release(beside / out.name, **parts)
            if replace and (out / "manifest.json").is_file():
                out.rename(beside / "old")
            try:
                (beside / out.name).rename(out)
            except OSError:
                if (beside / "old").exists():
                    (beside / "old").rename(out)
                raise
    except OSError as error:
        raise BadInput(
            f"--out {out} cannot be written: {error.strerror or error}; make room or give another"
        ) from None
    return load_release(out)


def _compare(release: Release, run: Path, console: Console) -> None:
    """Say what is not as in the release whose network was taken: the network, or a head."""
    if not (run / "manifest.json").is_file():
        return
    manifest = manifests.read(run)
    if "head_digest" in manifest:
        console.print(
            f"the head of {run} is not taken over, and neighbours alone are judged by; "
            "`python -m training head` makes a release with one",
            style="yellow",
            highlight=False,
        )
    if release.network_digest != manifest["network_digest"]:
        console.print(
            f"the network is another one than that of {run}, by its sizes, regions or precision: "
            "prototypes added to that one, and what is cached, do not apply to it",
            style="yellow",
            highlight=False,
        )


def _verify(release: Release, material: Material) -> None:
    """Load the written network, which runs its self-test, and embed a photograph again."""
    network = release.load_network("cpu")
    place = material.sides.prototypes[0]
    again = embed(network, [material.photos[place].path], release.spec.input).rows[0]
    if float(again @ material.rows[place]) < SAME:
        raise BadInput(f"{release.path} embeds a photograph otherwise than before; build it anew")
