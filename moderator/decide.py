"""From neighbours and policy to decisions, purely. Knows nothing of Kafka, pixels or clocks."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from models.index import Neighbours
from models.policy import Policy
from models.scoring import level_shares
from models.types import Types
from moderator.rules import Finding, find

Answer = Literal["flag", "pass"]
Reason = Literal[
    "match",
    "lookalike",
    "no-match",
    "near-miss",
    "undecodable",
    "unreachable",
    "malformed",
    "override",
    "deleted",
    "no-images",
]

UNJUDGED: tuple[Reason, ...] = ("undecodable", "unreachable", "malformed")
SEVERITY: Mapping[Reason, int] = {
    "match": 4,
    "undecodable": 3,
    "unreachable": 3,
    "malformed": 3,
    "near-miss": 2,
    "lookalike": 1,
    "override": 1,
    "no-match": 0,
    "deleted": 0,
    "no-images": 0,
}
"""How bad an image is: firearm > unjudgeable > near-miss > pass (design section 3)."""

OVERRIDDEN = SEVERITY["match"]
"""How bad a picture is that a moderator has said shows a firearm."""


@dataclass(frozen=True, slots=True)
class TypeScore:
    """A firearm type with its calibrated score in 0..1.

    ``probability`` is that it is this type, given that it is a firearm; None without a head, and
    of a type that names no model.
    """

    type: str
    family: str
    name: str
    score: float
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class LevelScore:
    """A mechanism or a family with the probability that it is that, given that it is a firearm."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """A near prototype; ``similarity`` is the cosine, in -1..1."""

    id: str
    type: str
    kind: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Override:
    """What a moderator said of one picture for good; an empty type means that it passes."""

    id: str
    type: str


@dataclass(frozen=True, slots=True)
class Actions:
    """What becomes of reasons whose decision is the operator's to choose."""

    undecodable: Answer = "flag"
    unreachable: Answer = "flag"
    malformed: Answer = "flag"
    near_miss: Answer = "pass"
    max_types: int = 5
    max_evidence: int = 5

    def of(self, reason: Reason) -> Answer:
        """Return the decision that goes with a reason."""
        answers: dict[Reason, Answer] = {
            "match": "flag",
            "undecodable": self.undecodable,
            "unreachable": self.unreachable,
            "malformed": self.malformed,
            "near-miss": self.near_miss,
        }
        return answers.get(reason, "pass")


@dataclass(frozen=True, slots=True)
class ImageDecision:
    """What is said of one image.

    ``view`` is the place of the view that decided among those of an image that was judged, and
    ``region`` what of it did: 0 for the whole, else the number of its region from 1 on.
    ``mechanisms`` and ``families`` are what a head knows of a picture that has types. ``cause``
    says in a word or a few why an image could not be judged. ``closest`` is how much less of a
    change of any similarity or support would leave it as it is.
    """

    decision: Answer
    reason: Reason
    types: tuple[TypeScore, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    view: int | None = None
    cause: str | None = None
    region: int = 0
    closest: float = field(default=math.inf, compare=False)
    mechanisms: tuple[LevelScore, ...] = ()
    families: tuple[LevelScore, ...] = ()


@dataclass(frozen=True, slots=True)
class PostDecision:
    """What is said of a post: of its worst image, and the types, mechanisms, families seen in all.

    ``worst`` is that image's place among the post's, None for a post without images.
    """

    decision: Answer
    reason: Reason
    types: tuple[TypeScore, ...] = ()
    cause: str | None = None
    worst: int | None = None
    mechanisms: tuple[LevelScore, ...] = ()
    families: tuple[LevelScore, ...] = ()


def score(excess: float, policy: Policy) -> float:
    """Return the calibrated score in 0..1 of what a type has above its threshold."""
    exponent = policy.score_slope * excess + policy.score_offset
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, exponent))))


def _decision(
    found: Finding,
    neighbours: Neighbours,
    policy: Policy,
    types: Types,
    *,
    actions: Actions,
    scores: Mapping[str, float] | None,
) -> ImageDecision:
    most = actions.max_types
    shares = _shares(scores, policy, types) if scores and found.reached else {}
    probable = shares.get("type")
    named = _types(found.reached, policy, types)[:most]
    if probable is not None:
        shared = {name: round(share, 4) for name, share in probable.items()}
        named = tuple(replace(each, probability=shared.get(each.type)) for each in named)
    return ImageDecision(
        decision=actions.of(found.reason),
        reason=found.reason,
        types=named,
        evidence=_evidence(neighbours, actions.max_evidence),
        mechanisms=_level(shares.get("mechanism", {}), most),
        families=_level(shares.get("family", {}), most),
    )


def _shares(
    scores: Mapping[str, float], policy: Policy, types: Types
) -> dict[str, dict[str, float]]:
    """Return by level what the policy has told of, and how probable each name of it is.

    Where types have mechanisms, one without says "a firearm" but not which: it names nothing.
    """
    telling = {name: its for name, its in scores.items() if types.mechanism(name)} or scores
    names: dict[str, Callable[[str], str | None]] = {
        "mechanism": types.mechanism,
        "family": types.family,
        "type": str,
    }
    levels = policy.head.levels if policy.head else {}
    return {level: level_shares(telling, names[level], t) for level, t in levels.items()}


def _level(shares: Mapping[str, float], most: int) -> tuple[LevelScore, ...]:
    rounded = ((name, round(share, 4)) for name, share in shares.items())
    return tuple(LevelScore(name, share) for name, share in rounded if share)[:most]


def decide_image(
    views: Sequence[Neighbours],
    policy: Policy,
    types: Types,
    actions: Actions,
    override: Override | None = None,
    *,
    rows: Sequence[int] | None = None,
    parts: Sequence[bool] | None = None,
    scores: Sequence[Mapping[str, float]] | None = None,
) -> ImageDecision:
    """Decide an image from the neighbours of its views and their regions: as bad as the worst.

    Args:
        views: Nearest prototypes of each view, followed by those of each of its regions, which
            need the policy's ``region_margin`` more than views do; at least one.
        policy: Thresholds of the release.
        types: Families and names of types.
        actions: The operator's choices.
        override: What a moderator said of this very picture; it wins over everything.
        rows: How many of ``views`` belong to each view, its own included; None: one each.
        parts: Whether each view shows a part of the picture, which needs the policy's
            ``part_margin`` more than the whole does; its regions are not judged. None: none does.
        scores: Of each of ``views`` by the head (``models.scoring.Scorer``), where the policy
            judges by one.

    Raises:
        ValueError: There are no views, ``rows``, ``parts`` or ``scores`` are not of as many, or
            there are scores and the policy does not judge by them, or the reverse.
    """
    places = _places([1] * len(views) if rows is None else rows)
    if not views:
        raise ValueError("an image without views cannot be decided")
    if len(places) != len(views):
        raise ValueError(f"{len(views)} neighbours for an image of {len(places)} rows")
    if scores is not None and len(scores) != len(views):
        raise ValueError(f"{len(scores)} scores for an image of {len(views)} rows")
    said = [None] * len(views) if scores is None else scores
    margins = _margins(places, policy, parts)
    every = {row: find(views[row], policy, by, said[row]) for row, by in margins.items()}
    partial = parts or [False] * (1 + places[-1][0])
    found = _that_count(every, places, partial)
    # What was said of the picture is said of the whole, however bad a part of it is.
    wholes = [row for row in found if not (places[row][1] or partial[places[row][0]])]
    rated = wholes if override is not None and wholes else found
    worst = max(rated, key=lambda row: _finding_badness(found[row], policy, actions))
    view, region = places[worst]
    near, its = views[worst], said[worst]
    decision = _decision(found[worst], near, policy, types, actions=actions, scores=its)
    closest = min(each.closest for each in found.values())
    decision = replace(decision, view=view, region=region, closest=closest)
    return decision if override is None else _overridden(decision, override, types, actions)


def _margins(
    places: Sequence[tuple[int, int]], policy: Policy, parts: Sequence[bool] | None
) -> dict[int, float]:
    """Return what each row that is judged needs above the thresholds, by its place.

    Raises:
        ValueError: ``parts`` does not speak of each view.
    """
    views = 1 + max(view for view, _ in places)
    if parts is not None and len(parts) != views:
        raise ValueError(f"{len(parts)} parts for an image of {views} views")
    shown = parts or [False] * views
    by_region = policy.region_margin or 0.0
    return {
        row: by_region if region else policy.part_margin if shown[view] else 0.0
        for row, (view, region) in enumerate(places)
        # Parts of parts flag harmless pictures, and hardly any firearm more.
        if not (region and shown[view])
    }


def _places(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Return the view and the region, 0 for none, of each row of neighbours."""
    return [(view, region) for view, count in enumerate(rows) for region in range(count)]


def _that_count(
    found: Mapping[int, Finding], places: Sequence[tuple[int, int]], parts: Sequence[bool]
) -> Mapping[int, Finding]:
    """Return what counts: nothing smaller than a view that is a copy of a look-alike.

    Regions of such a view do not count, nor parts where all that is whole is such a copy: else
    what a reviewer said of the picture would hold for the whole of it alone.
    """
    copies = {places[row][0] for row, each in found.items() if each.copy and not places[row][1]}
    wholes = {view for view, part in enumerate(parts) if not part}
    return {
        row: each
        for row, each in found.items()
        if not (places[row][1] and places[row][0] in copies)
        and not (parts[places[row][0]] and wholes <= copies)
    }


def unjudged(reason: Reason, cause: str, actions: Actions) -> ImageDecision:
    """Decide an image that could not be judged."""
    return ImageDecision(actions.of(reason), reason, cause=cause)


def decide_in_part(found: ImageDecision, actions: Actions) -> ImageDecision:
    """Decide an image with frames out of reach by what the others show: a match, or unjudged.

    A moderator who said what the picture is has seen all of it.
    """
    if found.decision == "flag" or found.reason == "override":
        return found
    return unjudged("undecodable", "reach", actions)


def decide_post(images: Sequence[ImageDecision], max_types: int) -> PostDecision:
    """Join the decisions of a post's images: as bad as its worst. One without images passes."""
    if not images:
        return PostDecision("pass", "no-images")
    worst = max(range(len(images)), key=lambda place: (_badness(images[place]), -place))
    found = images[worst]
    # The types of a flagged post are those it is flagged for, not those of its near misses.
    telling = [image for image in images if image.decision == found.decision]
    return PostDecision(
        found.decision,
        found.reason,
        _merged((item for image in telling for item in image.types), max_types),
        found.cause,
        worst,
        _merged((item for image in telling for item in image.mechanisms), max_types),
        _merged((item for image in telling for item in image.families), max_types),
    )


Named = TypeVar("Named", TypeScore, LevelScore)


def _merged(items: Iterable[Named], most: int) -> tuple[Named, ...]:
    """Return each name once with its best score, best first; the order stays where scores tie."""
    best: dict[str, Named] = {}
    for item in items:
        name = item.type if isinstance(item, TypeScore) else item.name
        if name not in best or item.score > best[name].score:
            best[name] = item
    return tuple(sorted(best.values(), key=lambda item: -item.score))[:most]


def _badness(image: ImageDecision) -> tuple[bool, int, float]:
    """Return what orders images: a flag before anything, then the reason, then the score."""
    flagged = image.decision == "flag"
    severity = OVERRIDDEN if flagged and image.reason == "override" else SEVERITY[image.reason]
    return flagged, severity, image.types[0].score if image.types else 0.0


def _finding_badness(found: Finding, policy: Policy, actions: Actions) -> tuple[bool, int, float]:
    """Return what ``_badness`` of its decision is, without making that."""
    surest = max(found.reached.values(), default=None)
    its_score = 0.0 if surest is None else round(score(surest, policy), 4)
    return actions.of(found.reason) == "flag", SEVERITY[found.reason], its_score


def _types(reached: Mapping[str, float], policy: Policy, types: Types) -> tuple[TypeScore, ...]:
    # Sorted before rounding: far above their thresholds, scores are all alike.
    ordered = sorted(reached, key=lambda name: (-reached[name], name))
    return tuple(
        TypeScore(
            name,
            types.family(name),
            types.display_name(name),
            round(score(reached[name], policy), 4),
        )
        for name in ordered
    )


def _evidence(neighbours: Neighbours, most: int) -> tuple[Evidence, ...]:
    rows = zip(
        neighbours.ids[:most],
        neighbours.types[:most],
        neighbours.kinds[:most],
        neighbours.similarities[:most].tolist(),
        strict=True,
    )
    return tuple(
        Evidence(name, its_type, kind, round(similarity, 5))
        for name, its_type, kind, similarity in rows
    )


def _overridden(
    image: ImageDecision, override: Override, types: Types, actions: Actions
) -> ImageDecision:
    said = Evidence(override.id, override.type, "override", 1.0)
    evidence = (said, *image.evidence)[: actions.max_evidence]
    image = replace(
        image,
        decision="pass",
        reason="override",
        types=(),
        mechanisms=(),
        families=(),
        evidence=evidence,
        closest=math.inf,
    )
    if not override.type:
        return image
    family, name = types.family(override.type), types.display_name(override.type)
    return replace(image, decision="flag", types=(TypeScore(override.type, family, name, 1.0),))
