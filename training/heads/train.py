"""Train a head on the features of a release's network, and release it with a policy.

Everything is chosen on photographs of sources that the head did not learn from; then it learns
from all. Joins the other modules; holds no method of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.head import Head
from models.policy import MOST_LOGITS, HeadRule, Kernel, Policy
from models.prototypes import Prototypes
from models.release import Release, load_release
from models.types import Types
from training import leftout
from training.calibration.choice import choose_policy
from training.calibration.frames import Frames, flag_scores_of, look_by_head
from training.calibration.settings import PolicySettings
from training.commit import commit
from training.errors import BadInput
from training.evaluation import DIGEST_DIGITS, Judge, firearms_of, prototype_id
from training.folder import Photo, dataset_digest
from training.heads.crossed import Lesson, crossed, mean_loss
from training.heads.features import features
from training.heads.figures import MAIN_RATE
from training.heads.folds import LEAST, Fold, folds
from training.heads.levels import level_names, temperatures
from training.heads.report import Held, head_report
from training.material import rounded
from training.naming import known_families, named
from training.progress import progress
from training.ranking.openset import nearest
from training.release import check_out, check_room, write
from training.report import side_figures, type_figures
from training.selection import chosen_by_name
from training.stages.trained import stored_half
from training.threshold import at_false_flag_rate

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

Rows = NDArray[np.float32]

NOTES = (
    "The figures are of photographs of sources that neither head nor network learnt from, each "
    "judged by a head of its fold: the head of the release learnt from all of them. Thresholds "
    "were set on the same photographs.",
)

OF_TESTS = "The test photographs"
"""How notes begin that are not so any more: the head learns from all photographs."""

TEMPERATURE = 1.0
"""Of the head's score: that of its probabilities."""

MOST_STRENGTH = 1e6
"""Beyond it weights are not held back at all."""

WITHIN = 1.02
"""Of strengths whose losses are as near to the least as this, the lowest is taken: names hardly
suffer, and flags gain."""

ADDED = Kernel(scale=40.0, offset=26.0)
"""Of prototypes that are added to a release; chosen on types left out, see ``tried.md``."""

PARTS = 4
"""Parts of a collage: they get as many false flags together as a whole photograph does."""


LEAST_RECALL = 0.5
"""Below it a head is told of as of little use."""


@dataclass(frozen=True)
class HeadSettings:
    """How a head is trained.

    Args:
        strengths: That are tried, see ``training.heads.fit.fit``.
        evenness: Of sources, see ``training.heads.fit.weights``.
        related: Sources that descend from one another.
        learnt: Sources that the network was tuned on: no figure is chosen on them.
        least: Firearms of a source that is held out by itself.
        per_type: Prototypes of each type.
        per_kind: Prototypes of each kind of look-alike.
        seed: Of the choice of prototypes.
        policy: What the policy is to be like.

    Raises:
        BadInput: A figure is out of its range.
    """

    strengths: tuple[float, ...] = (10.0, 30.0, 100.0)
    evenness: float = 0.5
    related: tuple[tuple[str, ...], ...] = ()
    learnt: tuple[str, ...] = ()
    least: int = LEAST
    per_type: int = 30
    per_kind: int = 20
    seed: int = 0
    policy: PolicySettings = field(default_factory=PolicySettings)

    def __post_init__(self) -> None:
        for strength in self.strengths:
            if not 0 < strength <= MOST_STRENGTH:
                raise BadInput(
                    f"--strength {strength} is not above 0 and at most {MOST_STRENGTH:g}"
                )
        if not 0 <= self.evenness <= 1:
            raise BadInput(f"--evenness {self.evenness} is not in 0..1")


@dataclass(frozen=True)
class Places:
    """Folders.

    Args:
        release: Whose network gives the features; it stays as it is.
        cache: Of features, see ``training.heads.features``.
        out: Of the new release.
        replace: Whether a release that is there already gives way once the new one is whole.
    """

    release: Path
    cache: Path
    out: Path
    replace: bool = False


def train(
    photos: Sequence[Photo], types: Types, settings: HeadSettings, at: Places, console: Console
) -> Release:
    """Train a head and write a release of the same network with it.

    Args:
        photos: With their sources.
        types: Table of families, names and mechanisms.
        settings: How.
        at: Folders.
        console: For progress and what was found.

    Raises:
        BadInput: Photographs, table or folders cannot be used.
        ModelError: The release cannot be read or written.
    """
    check_out(at.out, replace=at.replace)
    base = load_release(at.release)
    network = base.load_network("cpu", fold=False)
    check_room(at.out, network)
    lesson, unreadable = _lesson(base, photos, at.cache, console)
    dealt = folds(lesson.photos, related=settings.related, least=settings.least)
    table = _table(lesson, types)
    strength, losses, logits = _crossed(lesson, dealt, settings, console)
    embedded = _embedded(network, lesson)
    chosen = _chosen(lesson, embedded, settings)
    held = _Held(lesson, logits, _nearest(lesson, embedded, chosen), frozenset(settings.learnt))
    levels = held.levels(dealt, table)
    rule = HeadRule(TEMPERATURE, ADDED, None, levels)
    chosen_settings = held.settings(replace(settings.policy, head=rule))
    policy = held.policy(chosen_settings)
    everything = np.ones(len(lesson.photos), np.bool_)
    head = _halved(lesson.learn(everything, strength, settings.evenness))
    prototypes = _prototypes(lesson, embedded, chosen)
    figures = {
        "strength": strength,
        "losses": losses,
        **head_report(held.said(policy, table), dealt, levels),
    }
    _warn(figures, console)
    judge = Judge(chosen_settings, policy, prototypes, table)
    return write(
        at.out,
        replace=at.replace,
        network=network,
        prototypes=prototypes,
        types=table,
        policy=policy,
        report={**_report(base, held, judge, figures), "unreadable": unreadable},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=commit(),
        dataset_digest=dataset_digest(lesson.photos),
        half_weights=stored_half(base.path),
        head=head,
    )


@dataclass(frozen=True, eq=False)
class _Held:
    """What heads say of photographs that they did not learn from.

    Args:
        lesson: All photographs.
        logits: Of each of them, float32[1 + R, C].
        nearest: Of each of them, float64[1 + R], similarity to the nearest firearm elsewhere.
        learnt: Sources that the network was tuned on.
    """

    lesson: Lesson
    logits: Sequence[Rows]
    nearest: Sequence[NDArray[np.float64]]
    learnt: frozenset[str]

    @property
    def untouched(self) -> list[int]:
        """Places of photographs of which neither network nor head learnt the source."""
        photos = self.lesson.photos
        return [n for n, photo in enumerate(photos) if photo.source not in self.learnt]

    def frames(self, places: Sequence[int]) -> Frames:
        """Return what is said of some of them."""
        near = np.concatenate([self.nearest[n] for n in places])
        said = [self.logits[n] for n in places]
        return look_by_head(said, near, self.lesson.classes, TEMPERATURE)

    def settings(self, settings: PolicySettings) -> PolicySettings:
        """Return settings with a margin of parts that is of the head's score."""
        places = self.untouched
        firearm = firearms_of([self.lesson.photos[n] for n in places])
        if firearm.all() or not firearm.any():
            raise BadInput(
                "photographs of sources that the network was not tuned on lack firearms or "
                "harmless ones; give some, or fewer sources as --learnt"
            )
        frames = self.frames(places)
        whole = frames.scores()[0][~firearm]
        cut, part = (at_false_flag_rate(whole, settings.false_flag_rate / n, highest=MOST_LOGITS)
                     for n in (1, PARTS))  # fmt: skip
        return replace(settings, part_margin=round(part - cut, 3))

    def policy(self, settings: PolicySettings) -> Policy:
        """Choose a policy on the untouched ones."""
        places = self.untouched
        firearm = firearms_of([self.lesson.photos[n] for n in places])
        return choose_policy(self.frames(places), firearm, settings)

    def scores(self) -> NDArray[np.float64]:
        """Return float64[N, K], of each type, for whole pictures."""
        kept = [n for n, each in enumerate(self.lesson.classes) if each.kind == "firearm"]
        return np.stack([rows[0, kept] for rows in self.logits]).astype(np.float64)

    def levels(self, dealt: Sequence[Fold], table: Types) -> dict[str, float]:
        """Return the temperature of each level, by untouched firearms of small sources."""
        types = _types(self.lesson)
        small = np.logical_or.reduce([fold.test for fold in dealt if not fold.large])
        photos = self.lesson.photos
        asked = [
            n for n in self.untouched
            if small[n] and photos[n].firearm and table.mechanism(photos[n].name)
        ]  # fmt: skip
        if not asked:
            raise BadInput(
                f"no firearm of a known mechanism is of a source below {LEAST} firearms that the "
                "network was not tuned on; give some, or fewer sources as --learnt"
            )
        truth = [types.index(photos[n].name) for n in asked]
        return temperatures(self.scores()[asked], truth, level_names(types, table))

    def said(self, policy: Policy, table: Types) -> Held:
        """Return what figures are made of."""
        flags = flag_scores_of(self.frames(range(len(self.logits))), policy)
        types = _types(self.lesson)
        return Held(self.lesson.photos, types, self.scores(), flags, table, self.learnt)


def _warn(figures: Mapping[str, Any], console: Console) -> None:
    """Tell of a head that knows nothing, before anybody serves it."""
    found = figures["untouched"]["flags"][f"{MAIN_RATE:g}"]["share"]
    if found is not None and found < LEAST_RECALL:
        console.print(
            f"the head flags {found:.0%} of firearms of sources that it has not seen, at "
            f"{MAIN_RATE:.0%} false flags: give more photographs, or a network that was trained",
            style="yellow",
            highlight=False,
        )


def _types(lesson: Lesson) -> tuple[str, ...]:
    return tuple(each.name for each in lesson.classes if each.kind == "firearm")


def _table(lesson: Lesson, types: Types) -> Types:
    table = named(_types(lesson), types)
    if not any(table.mechanism(name) for name in table.names):
        raise BadInput("the table of --types says the mechanism of no type; add some")
    return table


def _lesson(
    base: Release, photos: Sequence[Photo], cache: Path, console: Console
) -> tuple[Lesson, list[str]]:
    """Return the readable photographs with their features, and lines on the others."""
    pooled, failed = features(base.load_network("cpu"), base.network_digest, photos, cache, console)
    unreadable = [
        f"{photo.name}/{photo.path.name}: {failed[photo.digest]}"
        for photo in photos
        if photo.digest in failed
    ]
    leftout.unreadable(unreadable, len(photos), console)
    kept = [photo for photo in photos if photo.digest in pooled]
    if not kept:
        raise BadInput("none of the photographs can be read")
    return Lesson.of(kept, [pooled[photo.digest] for photo in kept]), unreadable


def _crossed(
    lesson: Lesson, dealt: Sequence[Fold], settings: HeadSettings, console: Console
) -> tuple[float, dict[str, float], list[Rows]]:
    """Choose the strength by the small sources; return it, the losses, and all logits."""
    small = [fold for fold in dealt if not fold.large]
    large = [fold for fold in dealt if fold.large]
    steps = len(small) * len(settings.strengths) + len(large)
    losses: dict[float, float] = {}
    said: dict[float, dict[int, Rows]] = {}
    with progress(console, "holding out sources", steps) as advance:
        for strength in settings.strengths:
            said[strength] = crossed(lesson, small, strength, settings.evenness, advance)
            losses[strength] = mean_loss(lesson, said[strength])
        near = WITHIN * min(losses.values())
        strength = min(each for each, loss in losses.items() if loss <= near)
        best = said[strength]
        best.update(crossed(lesson, large, strength, settings.evenness, advance))
    told = {f"{each:g}": round(loss, 4) for each, loss in losses.items()}
    return strength, told, [best[n] for n in range(len(lesson.photos))]


def _embedded(network: "RetrievalNetwork", lesson: Lesson) -> list[Rows]:
    """Return of photographs float32[1 + R, D], what the network makes of their features."""
    import torch
    from torch.nn import functional

    project = network.head or torch.nn.Identity()
    with torch.inference_mode():
        return [
            functional.normalize(project(torch.from_numpy(rows.astype(np.float32))), dim=-1).numpy()
            for rows in lesson.pooled
        ]


def _chosen(lesson: Lesson, embedded: Sequence[Rows], settings: HeadSettings) -> list[int]:
    """Return the places of the photographs that become prototypes."""
    chosen: list[int] = []
    for firearm, most in ((True, settings.per_type), (False, settings.per_kind)):
        places = [n for n, photo in enumerate(lesson.photos) if photo.firearm == firearm]
        rows = np.stack([embedded[n][0] for n in places])
        names = [lesson.photos[n].name for n in places]
        chosen += [places[n] for n in chosen_by_name(rows, names, most, settings.seed)]
    return chosen


def _prototypes(lesson: Lesson, embedded: Sequence[Rows], chosen: Sequence[int]) -> Prototypes:
    photos = [lesson.photos[n] for n in chosen]
    return Prototypes(
        embeddings=rounded(np.stack([embedded[n][0] for n in chosen])),
        ids=tuple(prototype_id(photo.name, photo.digest) for photo in photos),
        types=tuple(photo.name for photo in photos),
        kinds=tuple("firearm" if photo.firearm else "lookalike" for photo in photos),
    )


def _nearest(
    lesson: Lesson, embedded: Sequence[Rows], chosen: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Return the similarities to the nearest firearm among prototypes of other sources."""
    firearms = [n for n in chosen if lesson.photos[n].firearm]
    sizes = [len(rows) for rows in embedded]
    sources = [str(photo.source) for photo in lesson.photos]
    found = nearest(
        np.concatenate(embedded),
        [source for source, size in zip(sources, sizes, strict=True) for _ in range(size)],
        np.stack([embedded[n][0] for n in firearms]),
        [sources[n] for n in firearms],
    )
    return np.split(found, np.cumsum(sizes)[:-1])


def _halved(head: Head) -> Head:
    """Return a head as a release keeps it, in 16 bits."""
    return Head(head.weight.astype(np.float16).astype(np.float32), head.bias, head.classes)


def _report(
    base: Release,
    held: _Held,
    judge: Judge,
    figures: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the report of the release: that of its network's, with figures of held-out sources."""
    lesson, side = held.lesson, held.untouched
    frames, photos = held.frames(side), [lesson.photos[n] for n in side]
    types, table = _types(lesson), judge.types
    asked = [n for n in side if lesson.photos[n].firearm]
    coarse = [name for name in types if table.mechanism(name) is None]
    notes = base.report.get("notes", ())[1:]
    said = judge.figures(frames, photos)
    said["types"] = type_figures(
        held.scores()[asked].astype(np.float32),
        [lesson.photos[n].name for n in asked],
        types,
        known_families(table),
        coarse,
    )
    names, sources = [photo.name for photo in photos], [photo.source for photo in photos]
    return {
        **base.report,
        "recipe": {**base.report.get("recipe", {}), **asdict(judge.settings)},
        "prototypes": _prototype_figures(lesson, judge.prototypes),
        "notes": [*NOTES, *(each for each in notes if not each.startswith(OF_TESTS))],
        "policy": judge.policy.to_json(),
        "figures": {"threshold": said},
        "calibration": {
            "prior": judge.settings.prior,
            "threshold_halves": judge.crossed(frames, photos),
        },
        "threshold_photographs": {
            **side_figures(names, sources),
            "digests": [photo.digest[:DIGEST_DIGITS] for photo in photos],
        },
        "test_photographs": side_figures([], []),
        "dropped_near_copies": 0,
        "head": {"from_release": base.id, **figures},
    }


def _prototype_figures(lesson: Lesson, prototypes: Prototypes) -> dict[str, Any]:
    of = {prototype_id(photo.name, photo.digest): photo for photo in lesson.photos}
    chosen = [of[name] for name in prototypes.ids]
    found: dict[str, Any] = {"chosen_from": len(lesson.photos)}
    for part, firearm in (("firearms", True), ("lookalikes", False)):
        own = [photo for photo in chosen if photo.firearm == firearm]
        names, sources = [photo.name for photo in own], [photo.source for photo in own]
        found[part] = side_figures(names, sources)
    return found
