"""Commands about a copy of Firearm 14k. Must not know networks."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

import sys
from pathlib import Path

import click

PLACE = click.Path(path_type=Path)

NOT_WHOLE = 1
"""Exit code for a copy that differs from the published data set."""


@click.group("firearm14k")
def command() -> None:
    """Check a copy of the Firearm 14k data set.

    \b
    Example:
      python -m training firearm14k verify firearm-dataset --clean leave-out.txt
    """


@command.command()
@click.argument("root", type=PLACE)
@click.option("--clean", type=PLACE, help="Write here which photographs to leave out.")
@click.option("--verbose", is_flag=True, help="Name each file, however many there are.")
def verify(root: Path, clean: Path | None, *, verbose: bool) -> None:
    """Compare a copy with the digests of the published data set.

    Names what is missing, damaged or extra and tells of duplicates. Ends with 0 if the copy is
    whole and with 1 if it is not.

    \b
    Example:
      python -m training firearm14k verify firearm-dataset --clean leave-out.txt
      python -m training retrieve --data firearm-dataset --leave-out leave-out.txt --out run
    """
    from rich.console import Console

    from training.data.account import account
    from training.data.duplicates import to_leave_out
    from training.data.leaveout import write_leave_out
    from training.data.verify import copy_root, present
    from training.data.verify import verify as compare
    from training.errors import BadInput
    from training.progress import progress
    from training.stages.space import check_writable

    if clean is not None:
        if not clean.absolute().parent.is_dir():
            raise BadInput(
                f"--clean {clean} cannot be written: its folder does not exist; create it"
            )
        check_writable(clean.absolute().parent, "--clean")
    folder = copy_root(root)
    with progress(Console(stderr=True), "reading files", len(present(folder))) as advance:
        verdict = compare(folder, advance=advance)
    for line in account(verdict, verbose=verbose):
        click.echo(line)
    if clean is not None:
        paths = to_leave_out(verdict.found, verdict.paths)
        write_leave_out(
            clean,
            paths,
            title="Firearm 14k: copies across splits or types, copies of queries, "
            "and a wrong label",
        )
        click.echo(f"to leave out: {len(paths)}, listed in {clean}")
    if not verdict.whole:
        sys.exit(NOT_WHOLE)


@command.command()
@click.argument("table", type=PLACE)
@click.option("--out", type=PLACE, help="Manifest to write; default: the shipped one.")
def pack(table: Path, out: Path | None) -> None:
    """Make the manifest again, of a table of path, SHA-256 and size with tabs between.

    \b
    Example:
      python -m training firearm14k pack manifest.tsv
    """
    from training.data.digests import SHIPPED
    from training.data.digests import pack as write

    out = out or SHIPPED
    count = write(table, out)
    click.echo(f"{out}: {count:,} files, {out.stat().st_size:,} bytes")
