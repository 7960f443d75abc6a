"""Compare a copy of Firearm 14k with the shipped manifest. Must not decode photographs."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from training.data.digests import FileFacts, unpack
from training.data.duplicates import Duplicates, duplicates
from training.data.groundtruth import problems, read_ground_truth
from training.data.layout import DATABASE, DATASET, GROUND_TRUTH, HELD, QUERIES, SPLITS
from training.errors import BadInput
from training.folder import file_digest

WORKERS = 4
"""Files that are read at a time; a digest is made without Python's lock."""

POINTER = b"version https://git-lfs"
"""How a file begins that only stands for one which Git LFS keeps elsewhere."""


@dataclass(frozen=True)
class Verdict:
    """How a copy differs from the published data set; paths are below its folder, in order.

    Args:
        expected: Files that the manifest names.
        missing: Of those, the absent ones.
        damaged: Of those, the ones with another content, and how it is seen.
        extra: Files that the manifest does not name.
        ground_truth: What is wrong with the lists of what queries should find.
        paths: All files that are there.
        found: Which of them are the same.
    """

    expected: int
    missing: tuple[str, ...]
    damaged: tuple[tuple[str, str], ...]
    extra: tuple[str, ...]
    ground_truth: tuple[str, ...]
    paths: tuple[str, ...]
    found: Duplicates

    @property
    def whole(self) -> bool:
        """Whether it is the published data set, with nothing missing, damaged, extra or wrong."""
        return not (self.missing or self.damaged or self.extra or self.ground_truth)


def copy_root(folder: Path) -> Path:
    """Return the folder of train, validation and test, of which some may be missing.

    Raises:
        BadInput: There is none of them.
    """
    for root in (folder, folder / DATASET):
        if any((root / split).is_dir() for split in SPLITS):
            return root
    raise BadInput(f"{folder} holds none of train, validation and test; give the folder that does")


def present(root: Path) -> dict[str, Path]:
    """Return the photographs' files of a copy by their paths, without hidden ones."""
    lists = {f"{split}/{GROUND_TRUTH}" for split in HELD}
    found = (path for split in SPLITS for path in (root / split).rglob("*"))
    named = {path.relative_to(root).as_posix(): path for path in found if path.is_file()}
    return {
        name: named[name] for name in sorted(named) if name not in lists and "/." not in f"/{name}"
    }


def verify(
    root: Path,
    *,
    manifest: Mapping[str, FileFacts] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """Read all files of a copy and compare them.

    Args:
        root: As ``copy_root`` gives it.
        manifest: What to compare with; None: the shipped one.
        advance: Told after each file that one more is read.
    """
    expected = unpack() if manifest is None else manifest
    paths = present(root)
    digests: dict[str, str] = {}
    damaged: dict[str, str] = {}
    with ThreadPoolExecutor(WORKERS) as workers:
        for name, digest in zip(paths, workers.map(_digest, paths.values()), strict=True):
            advance(1)
            if digest is not None:
                digests[name] = digest
            if name in expected and (why := _damage(paths[name], digest, expected[name])):
                damaged[name] = why
    return Verdict(
        expected=len(expected),
        missing=tuple(sorted(set(expected) - set(paths))),
        damaged=tuple(damaged.items()),
        extra=tuple(name for name in paths if name not in expected),
        ground_truth=tuple(_wrong_lists(root)),
        paths=tuple(paths),
        found=duplicates(digests),
    )


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path)
    except OSError:
        return None


def _damage(path: Path, digest: str | None, facts: FileFacts) -> str | None:
    """Return how a file differs from what it should be."""
    if digest is None:
        return "it cannot be read"
    size = path.stat().st_size
    if size == facts.size:
        return None if digest.startswith(facts.digest) else "its content is another"
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            return "it is a Git LFS pointer, not the photograph; run git lfs pull"
    return f"it has {size:,} bytes instead of {facts.size:,}"


def _wrong_lists(root: Path) -> Iterator[str]:
    for split in HELD:
        names = [
            {path.name for path in (root / split / part).glob("[!.]*")}
            for part in (QUERIES, DATABASE)
        ]
        file = f"{split}/{GROUND_TRUTH}"
        try:
            truth = read_ground_truth(root / file)
            yield from (f"{file}: {problem}" for problem in problems(truth, *names))
        except BadInput as error:
            yield str(error)
