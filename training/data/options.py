"""The options by which commands read their data set, and its reading. Knows no training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from training.data.sets import RetrievalData
from training.errors import BadInput
from training.folder import Photo, read_photos, with_groups
from training.typed import refuse_typed

COARSE = "coarse_"
"""How types begin that say only that it is a firearm; they cannot be told apart."""

PLACE = click.Path(path_type=Path)

Command = TypeVar("Command", bound=Any)

OPTIONS = (
    click.option(
        "--data",
        type=PLACE,
        required=True,
        help="Folder in Firearm 14k's published layout (it has train/ and validation/), or of "
        "<type>/<photographs>, whose types are then split.",
    ),
    click.option(
        "--groups",
        type=PLACE,
        help="CSV file with the columns file (relative to the CSV), dup_group, source_repo and, "
        "if you like, role and boxes: near copies are then kept together. Of Firearm 14k it is "
        "about --harmless only.",
    ),
    click.option(
        "--harmless", type=PLACE, help="Folder of <kind>/<photographs> without firearms to learn."
    ),
    click.option(
        "--untyped",
        is_flag=True,
        help="Also read the firearms of types named coarse_…, which are of no known type, for "
        "distil to learn from.",
    ),
    click.option(
        "--split-seed",
        type=int,
        default=0,
        show_default=True,
        help="Of the split of a folder of types; Firearm 14k has its own.",
    ),
    click.option(
        "--leave-out",
        type=PLACE,
        help="File of photographs to leave out, one path below --data a line, as "
        "`firearm14k verify --clean` writes it.",
    ),
)


def data_options(command: Command) -> Command:
    """Give a command the options that ``read_data`` takes."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_data(
    data: Path,
    *,
    groups: Path | None = None,
    harmless: Path | None = None,
    untyped: bool = False,
    split_seed: int = 0,
    leave_out: Path | None = None,
) -> RetrievalData:
    """Read the data set that the options name; says on standard error what it leaves out.

    Raises:
        BadInput: It cannot be used; the text says why.
    """
    from training.data.layout import find_layout

    layout = find_layout(data)
    left = _left(leave_out, data if layout is None else layout.root)
    if layout is not None:
        refuse_typed({"split_seed": "with Firearm 14k's layout, which has its own split"})
        if untyped:
            raise BadInput("--untyped does not go with Firearm 14k, all of whose types are known")
        return _published(data, groups, harmless, left)
    found = _folder(data, groups, harmless, split_seed, left)
    return found if untyped else replace(found, untyped=())


def _published(
    data: Path, groups: Path | None, harmless: Path | None, left: frozenset[str]
) -> RetrievalData:
    from training.data.firearm14k import read_firearm14k

    others = read_photos(harmless, firearm=False) if harmless else []
    if groups is not None:
        if not others:
            raise BadInput("--groups is about --harmless here, as --data has a split of its own")
        others = with_groups(others, groups)
    return replace(read_firearm14k(data, leave_out=left), harmless=tuple(others))


def _folder(
    data: Path, groups: Path | None, harmless: Path | None, seed: int, left: frozenset[str]
) -> RetrievalData:
    from training.data.folders import split_folder

    photos = [
        photo
        for photo in read_photos(data, firearm=True)
        if photo.path.relative_to(data).as_posix() not in left
    ]
    if harmless is not None:
        photos += read_photos(harmless, firearm=False)
    if groups is not None:
        photos = with_groups(photos, groups)
    firearms = [photo for photo in photos if photo.firearm and not photo.name.startswith(COARSE)]
    coarse = [photo for photo in photos if photo.firearm and photo.name.startswith(COARSE)]
    _check_types(firearms)
    return split_folder(
        firearms,
        seed=seed,
        harmless=[photo for photo in photos if not photo.firearm],
        untyped=coarse,
        name=data.resolve().name,
    )


def _check_types(photos: Sequence[Photo]) -> None:
    """Name types with too few photographs; with a single one they are likely to be mistakes."""
    from training.data.folders import LEAST, too_small

    small = too_small(photos)
    if single := [name for name, count in small.items() if count == 1]:
        raise BadInput(
            f"{_listed(single)}: one photograph, or near copies of one; a type needs {LEAST} "
            "different ones: add some or name it in a file for --leave-out"
        )
    if small:
        click.echo(
            f"left out, with fewer than {LEAST} different photographs: {_listed([*small])}",
            err=True,
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _left(file: Path | None, root: Path) -> frozenset[str]:
    from training.data.leaveout import read_leave_out

    if file is None:
        return frozenset()
    left = read_leave_out(file)
    if left and not any((root / path).exists() for path in left):
        raise BadInput(f"{file} names no file below {root}; give paths relative to that folder")
    return left
