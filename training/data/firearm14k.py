"""Read Firearm 14k, or any data set in its published layout. Must not know training or networks.

Everything that file names can tell is checked before the first file is read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from training.data.digests import unpack
from training.data.groundtruth import Truth, problems, read_ground_truth
from training.data.layout import (
    DATABASE,
    DATASET,
    GROUND_TRUTH,
    HELD,
    QUERIES,
    Layout,
    files,
    find_layout,
    type_files,
    type_of,
)
from training.data.sets import QuerySet, RetrievalData, relevant_by_name
from training.errors import BadInput
from training.folder import Photo, file_digest

NAME = "Firearm 14k"
NOT_READ = "/removed_query/"
"""In the paths of published files that are in no set; see ``read_firearm14k``."""

ByType = Mapping[str, Sequence[Path]]


def read_firearm14k(
    root: Path, *, leave_out: Collection[str] = (), name: str | None = None
) -> RetrievalData:
    """Read a data set in the published layout.

    Classification reads ``firearm-train-val`` where there is one, else the photographs of train
    and of validation, queries included. Copies of a file are kept, with one group. The authors'
    folder ``removed_query`` is not read: it holds a query with a wrong label.

    Args:
        root: The folder that holds train, validation and test, or one with ``firearm-dataset``.
        leave_out: Paths below that folder that are treated as absent, in the lists of the ground
            truth and in ``firearm-train-val`` too; see ``training.data.clean``.
        name: Of the data set; None: see ``title``.

    Raises:
        BadInput: A folder or file is missing; a type has a single photograph or is in two splits;
            ground truth and files disagree; a file's name does not name its type.
    """
    layout = find_layout(root)
    if layout is None:
        raise BadInput(f"{root} has no train and validation; see {NAME}'s published layout")
    train = _train(layout.root, leave_out)
    held = {split: _Held(layout.root, split, leave_out) for split in HELD}
    types = {"train": set(train)} | {split: set(part.types) for split, part in held.items()}
    _check_disjoint(types)
    named = _classification(layout, leave_out, types)

    trained = _photos(train)
    sets = {split: part.read() for split, part in held.items()}
    validation = sets["validation"]
    learned = (*trained, *validation.database, *validation.queries)
    every = (*learned, *sets["test"].database, *sets["test"].queries)
    return RetrievalData(
        name=title(layout.root, every, leave_out) if name is None else name,
        train=trained,
        classification=learned if named is None else _photos(named),
        validation=validation,
        test=sets["test"],
    )


def title(root: Path, photos: Iterable[Photo], leave_out: Collection[str] = ()) -> str:
    """Return what a set in the published layout is called on tables and figures.

    Args:
        root: The folder that holds train, validation and test.
        photos: All of them that were read.
        leave_out: Paths below the folder that were not.

    Returns:
        ``Firearm 14k`` where these are the published photographs, all of them but those left out
        and each with its digest; else the name of the folder, or of the one above where the
        folder is called as every copy's.
    """
    manifest = unpack()
    published = {path for path in manifest if NOT_READ not in path} - set(leave_out)
    read = {photo.path.relative_to(root).as_posix(): photo.digest for photo in photos}
    if set(read) == published and all(
        digest.startswith(manifest[path].digest) for path, digest in read.items()
    ):
        return NAME
    folder = root.resolve()
    return folder.parent.name if folder.name == DATASET else folder.name


class _Held:
    """The names of the files of validation or test, checked against the ground truth."""

    def __init__(self, root: Path, split: str, leave_out: Collection[str]) -> None:
        folder = root / split
        self.queries = _kept(files(folder / QUERIES), root, leave_out)
        self.database = _kept(files(folder / DATABASE), root, leave_out)
        for part, found in ((QUERIES, self.queries), (DATABASE, self.database)):
            if not found:
                raise BadInput(f"{folder / part} holds no photographs; {split} needs some")
        self.types = _by_type((*self.database, *self.queries))
        not_asked, not_found = (
            {PurePosixPath(path).name for path in leave_out if path.startswith(f"{split}/{part}/")}
            for part in (QUERIES, DATABASE)
        )
        truth = read_ground_truth(folder / GROUND_TRUTH)
        kept = {query: truth[query] - not_found for query in truth if query not in not_asked}
        self._check(folder / GROUND_TRUTH, kept)

    def _check(self, file: Path, truth: Truth) -> None:
        queries, database = ([path.name for path in part] for part in (self.queries, self.database))
        for problem in problems(truth, queries, database):
            raise BadInput(
                f"{file}: {problem}; copy the data set again, or name the photograph in a file for "
                "--leave-out"
            )

    def read(self) -> QuerySet:
        queries, database = (_photos(_by_type(part)) for part in (self.queries, self.database))
        return QuerySet(queries, database, relevant_by_name(queries, database))


def _train(root: Path, leave_out: Collection[str]) -> ByType:
    found = type_files(root / "train")
    kept = {name: _kept(paths, root, leave_out) for name, paths in found.items()}
    _check_numbers(root / "train", kept)
    return kept


def _classification(
    layout: Layout, leave_out: Collection[str], types: Mapping[str, Collection[str]]
) -> ByType | None:
    """Return the files of ``firearm-train-val``; None if there is no such folder."""
    if layout.classification is None:
        return None
    left = {(_named_type(path), PurePosixPath(path).name) for path in leave_out}
    found = {
        name: [path for path in paths if (name, path.name) not in left]
        for name, paths in type_files(layout.classification).items()
    }
    _check_numbers(layout.classification, found)
    expected = set(types["train"]) | set(types["validation"])
    if wrong := sorted(expected.symmetric_difference(found)):
        where = "lacks" if wrong[0] in expected else "also holds"
        raise BadInput(
            f"{layout.classification} {where} the type {wrong[0]}; it needs those of train and "
            "validation and no others, or move it away to use these"
        )
    return found


def _named_type(path: str) -> str:
    place = PurePosixPath(path)
    in_train = place.parts[:1] == ("train",)
    return place.parent.name if in_train else place.stem.rpartition("_")[0]


def _check_numbers(folder: Path, types: ByType) -> None:
    for name, paths in types.items():
        if len(paths) < 2:
            raise BadInput(
                f"{folder / name} holds {'one photograph' if paths else 'no photographs'}; a type "
                "needs two to learn from: add some or take the folder away"
            )


def _check_disjoint(types: Mapping[str, Collection[str]]) -> None:
    seen: dict[str, str] = {}
    for split, names in types.items():
        for name in sorted(names):
            if name in seen:
                raise BadInput(
                    f"the type {name} is in {seen[name]} and in {split}; the splits share no types"
                )
            seen[name] = split


def _kept(paths: Iterable[Path], root: Path, leave_out: Collection[str]) -> list[Path]:
    return [path for path in paths if path.relative_to(root).as_posix() not in leave_out]


def _by_type(paths: Iterable[Path]) -> ByType:
    types: dict[str, list[Path]] = {}
    for path in paths:
        types.setdefault(type_of(path), []).append(path)
    return types


def _photos(types: ByType) -> tuple[Photo, ...]:
    photos = []
    for name, paths in types.items():
        for path in paths:
            digest = file_digest(path)
            photos.append(Photo(path, name, True, digest, digest))
    return tuple(photos)
