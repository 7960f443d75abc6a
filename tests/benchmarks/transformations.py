"""Show flagged and harmless photographs in the ways of ``ways`` and count what is flagged then.

Decoding, network and decision are those of the worker, in this process. Photographs are of the
sources that the release was tested on, else of those that it shares no prototype with; a head may
have learnt from them all the same. Results are written after each way, and those of ways that are
not run stay.

    python -m tests.benchmarks.transformations --data FOLDER [--ways "collage,64 px"]

FOLDER holds ``sources.csv``, see ``tests.benchmarks.photographs``.
"""

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.device import set_threads
from models.release import Release, load_release
from models.scoring import Scorer
from models.spec import InputSpec
from moderator.decide import Actions, decide_image
from moderator.decoding.decode import DecodedImage, Undecodable, decode
from moderator.rules import neighbours_for
from moderator.settings import STARTER
from tests.benchmarks.photographs import LEARNT, Row, unseen
from tests.benchmarks.ways import WAYS, saved

RESULTS = "results.json"
TABLE = "table.md"
SEED = 0
CHUNK = 8
"""Pictures that one thread decodes and embeds at a time."""

MOST_PIXELS = 50_000_000
OTHERS = 60
NEIGHBOURS = 5
"""Harmless photographs to choose from, and how many a picture of several is offered."""


@dataclass(frozen=True)
class Judged:
    """Whether a picture is flagged, whether its whole views alone would be, and how many views."""

    flagged: bool
    whole: bool
    views: int


UNJUDGED = Judged(flagged=False, whole=False, views=0)
"""What is too small to be judged; a worker flags it as ``undecodable``, which is no merit here."""


class Judge:
    """Decides pictures as the worker does, without its streams and processes.

    Args:
        release: What decides.
        threads: Chunks of pictures that are embedded at once.
    """

    def __init__(self, release: Release, threads: int) -> None:
        set_threads(1)
        self._release = release
        self._network = release.load_network()
        self._pool = ThreadPoolExecutor(threads)

    def judge(self, pictures: Iterable[bytes]) -> Iterator[Judged]:
        """Yield what is said of each picture, in their order."""
        every = list(pictures)
        chunks = [every[at : at + CHUNK] for at in range(0, len(every), CHUNK)]
        for judged in self._pool.map(self._chunk, chunks):
            yield from judged

    def _chunk(self, pictures: Sequence[bytes]) -> list[Judged]:
        spec = self._release.spec.input
        images = [_decoded(data, spec) for data in pictures]
        every = [frame for image in images if image is not None for frame in image.frames]
        if not every:
            return [UNJUDGED] * len(images)
        pixels = np.stack(every)
        # Rounded as the worker rounds, for its cache.
        rows = iter(self._network.describe_rows(pixels).astype(np.float16).astype(np.float32))
        return [
            UNJUDGED
            if image is None
            else self._judged(
                [next(rows) for _ in image.frames], [v.box is not None for v in image.views]
            )
            for image in images
        ]

    def _judged(self, rows: Sequence[np.ndarray], parts: Sequence[bool]) -> Judged:
        wholes = [its for its, part in zip(rows, parts, strict=True) if not part]
        flagged = self._flagged(rows, parts)
        return Judged(flagged, self._flagged(wholes, [False] * len(wholes)), len(parts))

    def _flagged(self, rows: Sequence[np.ndarray], parts: Sequence[bool]) -> bool:
        release, policy = self._release, self._release.policy
        if policy.region_margin is None:
            rows = [its[:1] for its in rows]
        flat, dimension = np.concatenate(list(rows)), release.index.dimension
        near = neighbours_for(policy, release.index, flat[:, :dimension])
        scores = None
        if release.head is not None and policy.head is not None:
            scorer = Scorer(release.head, policy.head)
            scores = scorer.scores(flat[:, dimension:], near)
        counts = [len(its) for its in rows]
        decision = decide_image(
            near, policy, release.types, Actions(), rows=counts, parts=parts, scores=scores
        )
        return decision.decision == "flag"


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--release", type=Path, default=STARTER)
    parser.add_argument("--firearms", type=int, default=200)
    parser.add_argument("--harmless", type=int, default=400)
    parser.add_argument("--ways", help="Names, separated by commas; all by default.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("training/results/transformations"))
    arguments = parser.parse_args()
    names = list(WAYS)
    if arguments.ways:
        names = [name.strip() for name in arguments.ways.split(",")]
    release = load_release(arguments.release)
    if release.head is not None:
        print(LEARNT, file=sys.stderr)
    judge = Judge(release, arguments.threads)
    with (arguments.data / "sources.csv").open(newline="") as file:
        rows = untouched(list(csv.DictReader(file)), release)
    firearms, harmless, others = chosen(
        judge, arguments.data, rows, arguments.firearms, arguments.harmless
    )
    about = {
        "network": release.network_digest,
        "policy": release.policy.version,
        "firearms": len(firearms),
        "harmless": len(harmless),
    }
    for name in names:
        found = measure(judge, name, firearms, harmless, others)
        write(arguments.out, about, name, found)
        print(line(name, found), flush=True)


def chosen(
    judge: Judge, data: Path, rows: Sequence[Row], firearms: int, harmless: int
) -> tuple[list[Image.Image], list[Image.Image], list[Image.Image]]:
    """Return flagged firearms, harmless photographs, and others of these that pass."""
    every = [data / row["file"] for row in spread(rows, "firearm", firearms * 4 // 3)]
    flagged = judge.judge(path.read_bytes() for path in every)
    shown = [path for path, judged in zip(every, flagged, strict=True) if judged.flagged]
    negatives = [row for row in rows if row["role"] == "negative"]
    # Not by source: small ones are of what is sold beside firearms, which few posts show.
    sample = random.Random(SEED).sample(negatives, min(len(negatives), harmless + OTHERS))
    quiet = [data / row["file"] for row in sample]
    beside = quiet[harmless:]
    passed = judge.judge(path.read_bytes() for path in beside)
    others = [path for path, judged in zip(beside, passed, strict=True) if not judged.flagged]
    sets = (shown[:firearms], quiet[:harmless], others)
    first, second, third = ([_opened(path) for path in paths] for paths in sets)
    return first, second, third


def untouched(rows: Sequence[Row], release: Release) -> list[Row]:
    """Return photographs of sources of which the release has learnt nothing, as far as it says."""
    sources = release.report.get("recipe", {}).get("test_sources")
    if not sources:
        return unseen(rows, release)
    return sorted(
        (row for row in rows if row["source_repo"] in sources), key=lambda row: row["file"]
    )


def spread(rows: Sequence[Row], role: str, count: int) -> list[Row]:
    """Return photographs of a role, a source after the other in turn, one of each near copies."""
    chance = random.Random(SEED)
    sources: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["file"]):
        if row["role"] == role:
            sources.setdefault(row["source_repo"], []).append(row)
    for its in sources.values():
        chance.shuffle(its)
    found: dict[str, Row] = {}
    while len(found) < count and any(sources.values()):
        for its in sources.values():
            if its:
                row = its.pop()
                found.setdefault(row["dup_group"], row)
    return list(found.values())[:count]


def measure(
    judge: Judge,
    name: str,
    firearms: Sequence[Image.Image],
    harmless: Sequence[Image.Image],
    others: Sequence[Image.Image],
) -> dict[str, float]:
    """Return shares that are flagged in one way of showing, and views of a picture."""
    found: dict[str, float] = {}
    for role, photographs in (("firearms", firearms), ("harmless", harmless)):
        pictures = (shown(name, n, image, others) for n, image in enumerate(photographs))
        judged = list(judge.judge(pictures))
        found[role] = sum(each.flagged for each in judged) / len(judged)
        found[f"{role}_whole"] = sum(each.whole for each in judged) / len(judged)
        found[f"{role}_views"] = sum(each.views for each in judged) / len(judged)
    return {key: round(value, 4) for key, value in found.items()}


def shown(name: str, number: int, image: Image.Image, others: Sequence[Image.Image]) -> bytes:
    """Return a photograph as it is shown in a way, the same with each call."""
    chance = random.Random(f"{SEED} {name} {number}")
    return saved(WAYS[name](image, chance.sample(others, NEIGHBOURS), chance), name)


def write(out: Path, about: Mapping[str, Any], name: str, found: Mapping[str, float]) -> None:
    """Add what was found to the results, if those are of the same photographs and release."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / RESULTS
    known = json.loads(file.read_text()) if file.exists() else {}
    same = all(known.get(key) == value for key, value in about.items())
    ways = {**(known["ways"] if same else {}), name: found}
    ordered = {way: ways[way] for way in WAYS if way in ways}
    file.write_text(json.dumps({**about, "ways": ordered}, indent=1) + "\n")
    header = "| way of showing | firearms | whole alone | harmless | whole alone | views |"
    lines = [header, "|---|---:|---:|---:|---:|---:|", *(line(*each) for each in ordered.items())]
    (out / TABLE).write_text("\n".join(lines) + "\n")


def line(name: str, found: Mapping[str, float]) -> str:
    """Return a line of the table."""
    shares = ("firearms", "firearms_whole", "harmless", "harmless_whole")
    cells = [f"{100 * found[key]:.1f} %" for key in shares]
    return f"| {name} | {' | '.join(cells)} | {found['firearms_views']:.2f} |"


def _decoded(data: bytes, spec: InputSpec) -> DecodedImage | None:
    try:
        return decode(data, spec, max_pixels=MOST_PIXELS, max_frames=1)
    except Undecodable:
        return None


def _opened(path: Path) -> Image.Image:
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    main()
