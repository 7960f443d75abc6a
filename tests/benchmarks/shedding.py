"""How much less work each level of overload is: CPU time of the same posts, level after level.

Posts go through the real examiner, from bytes to decisions, with nothing remembered. Levels take
turns within each round, so that what else the machine does falls on all of them alike, and what
counts is CPU time, of decode processes too.

    python -m tests.benchmarks.shedding --images FOLDER [--rounds 5] [--posts 64] [--moving 0.25]
"""

import argparse
import io
import os
import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from models.release import load_release
from moderator.assembly import Parts, actions, build
from moderator.caching.cache import MemoryCache
from moderator.decisions import Provenance
from moderator.examine import Examiner
from moderator.overload import Level
from moderator.records import Post, PostImage, Record
from moderator.settings import STARTER, Settings, load_settings
from tests.benchmarks.processes import cpu_seconds

BATCH = 32
SIDE = 640
"""Pixels of the longest side of an animation's frames."""


@dataclass(frozen=True)
class Fixed:
    """A load that is always at one level."""

    level: Level

    def judged(self, posts: Sequence[Post], level: Level, now: float) -> None:
        """Take no note of anything."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--release", type=Path, default=STARTER)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--posts", type=int, default=64)
    parser.add_argument("--moving", type=float, default=0.25, help="share of animations")
    arguments = parser.parse_args()
    pictures = drawn_from(arguments.images, arguments.posts, arguments.moving)
    settings = load_settings({"release": str(arguments.release)}, environ={})
    with examiners(settings) as of:
        spent: dict[Level, list[float]] = {level: [] for level in Level}
        run(of[Level.WHOLE], pictures[:BATCH])
        for _ in range(arguments.rounds):
            for level in Level:
                spent[level].append(run(of[level], pictures) / len(pictures))
    report(spent, arguments)


def report(spent: dict[Level, list[float]], arguments: argparse.Namespace) -> None:
    """Print the CPU time of each level, and its ratio to the one that leaves nothing out."""
    print(
        f"{arguments.posts} posts, {arguments.moving:.0%} of them animations of three frames, "
        f"{arguments.rounds} rounds"
    )
    for level, times in spent.items():
        ratios = [a / b for a, b in zip(spent[Level.WHOLE], times, strict=True)]
        print(
            f"  level {int(level)} ({level.name.lower()}): {statistics.median(times) * 1e3:.1f} ms "
            f"CPU a post; {statistics.median(ratios):.2f} times as many posts in the same time, "
            f"{min(ratios):.2f} to {max(ratios):.2f}"
        )


def drawn_from(folder: Path, count: int, moving: float) -> list[bytes]:
    """Return photographs, so many of them joined to animations of three."""
    paths = sorted(folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    pictures = [path.read_bytes() for path in paths[:count]]
    for place in range(round(count * moving)):
        pictures[place] = animation(paths[count + 3 * place : count + 3 * place + 3])
    return pictures


def animation(paths: Sequence[Path]) -> bytes:
    """Return a WebP that shows photographs one after the other."""
    frames = []
    for path in paths:
        frame = Image.open(path).convert("RGB")
        frame.thumbnail((SIDE, SIDE))
        frames.append(frame.resize((SIDE, SIDE)))
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


@contextmanager
def examiners(settings: Settings) -> Iterator[dict[Level, Examiner]]:
    """Yield an examiner of each level, of the same parts."""
    with build(settings, load_release(settings.judging.release)) as parts:
        yield {level: examiner(parts, settings, level) for level in Level}


def examiner(parts: Parts, settings: Settings, level: Level) -> Examiner:
    """Return an examiner that is always at one level and remembers nothing."""
    return Examiner(
        fetcher=parts.fetcher,
        cache=MemoryCache(0),
        pool=parts.pool,
        embedder=parts.embedder,
        matcher=parts.matcher,
        policy=parts.release.policy,
        provenance=Provenance("", "", "", 0),
        actions=actions(settings.judging),
        max_frames=settings.limits.max_frames,
        load=Fixed(level),
    )


def run(examiner: Examiner, pictures: Sequence[bytes]) -> float:
    """Examine pictures in batches and return the CPU seconds that it took."""
    begin = cpu_seconds(os.getpid())
    for first in range(0, len(pictures), BATCH):
        posts = [
            Post(Record("posts", 0, n, 0, None, b""), str(n), images=(PostImage("0", data=data),))
            for n, data in enumerate(pictures[first : first + BATCH])
        ]
        batch = examiner.open(posts)
        examiner.prepare(batch)
        examiner.embed(batch)
        examiner.judge(batch)
    return cpu_seconds(os.getpid()) - begin


if __name__ == "__main__":
    main()
