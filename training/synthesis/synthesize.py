"""Draws a data set in several processes and puts it in place once it is whole."""

import errno
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from training.errors import BadInput
from training.folder import Box
from training.progress import progress
from training.stages.space import check_space
from training.synthesis.layout import Album, album, table
from training.synthesis.order import Order
from training.synthesis.printing import print_plate
from training.workfolder import work_folder

BYTES_PER_PIXEL = 0.6
"""Of a JPEG file, counted amply: noise does not compress."""

CHUNK = 8
"""Pictures that a process is given at once."""


def synthesize(order: Order, out: Path, console: Console, *, processes: int = 1) -> Album:
    """Draw a data set; the files do not depend on the number of processes.

    ``out`` appears once all is drawn, and a run that fails leaves nothing behind.

    Args:
        order: What to draw.
        out: Folder of the data set; absent or empty.
        console: Where progress is shown.
        processes: That draw at the same time.

    Raises:
        BadInput: The order cannot be drawn, ``out`` is not empty or cannot be written, or the
            disk is too full.
    """
    order.check()
    if processes < 1:
        raise BadInput(f"--processes {processes} draws nothing; give 1 or more")
    with _place(out, order) as folder:
        whole = album(order)
        for path, text in whole.lists.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
        boxes = _print(whole, order, folder, console, processes)
        if whole.table is not None:
            (folder / whole.table).write_text(table(whole.plates, boxes), "utf-8")
    return whole


def _print(whole: Album, order: Order, folder: Path, console: Console, processes: int) -> list[Box]:
    work = partial(print_plate, order=order, root=folder)
    boxes = []
    with progress(console, "drawing", len(whole.plates)) as advance:
        if processes == 1:
            for plate in whole.plates:
                boxes.append(work(plate))
                advance(1)
            return boxes
        # A fork would copy the thread that shows the progress.
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=fresh) as pool:
            for box in pool.map(work, whole.plates, chunksize=CHUNK):
                boxes.append(box)
                advance(1)
    return boxes


@contextmanager
def _place(out: Path, order: Order) -> Iterator[Path]:
    """Yield a new folder beside ``out`` that takes its place at the end, and is gone on errors."""
    _check_empty(out)
    parent = out.resolve().parent
    check_space(parent, round(order.pictures * order.side**2 * BYTES_PER_PIXEL), "--out")
    try:
        with work_folder(parent, f".{out.name}-") as beside:
            folder = beside / "set"
            folder.mkdir()
            yield folder
            folder.replace(out.resolve())
    except OSError as error:
        raise _unwritable(out, error) from None


def _check_empty(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise BadInput(f"{out} exists and is not an empty folder; give another --out or remove it")


def _unwritable(out: Path, error: OSError) -> BadInput:
    cure = "make room" if error.errno == errno.ENOSPC else "mend that"
    return BadInput(
        f"{out} cannot be written: {error.strerror or error}; {cure} or give another --out"
    )
