"""Files that list photographs to leave out, one path a line. Must not know why they are.

Paths are relative to the data set's folder, with ``/``. Empty lines and lines that begin with
``#`` say nothing.
"""

from collections.abc import Sequence
from pathlib import Path

from training.errors import BadInput


def read_leave_out(file: Path) -> frozenset[str]:
    """Read such a file.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read as a list of paths: {error}") from None
    return frozenset(line.removeprefix("./") for line in lines if line and line[0] != "#")


def write_leave_out(file: Path, paths: Sequence[str], *, title: str) -> None:
    """Write such a file, with a title that says what it is.

    Raises:
        BadInput: It cannot be written.
    """
    try:
        file.write_text("".join(f"{line}\n" for line in (f"# {title}", *paths)), "utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None
