"""Files of results: written whole, read with care, joined. Must not know how they were measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import BadInput
from training.ranking.figures import write_figures
from training.ranking.summary import Entry, labels, summarise
from training.ranking.tables import report

FORMAT = "evaluation/1"
RESULTS = "evaluation.json"
TABLES = "tables.md"
FIGURES = "figures"
NEEDED = ("label", "split_seed", "seed", "data", "protocols", "types", "distances", "flags",
          "calibration")  # fmt: skip


def check_out(out: Path, *, replace: bool) -> None:
    """Refuse a folder that holds results already, or that cannot be made.

    Raises:
        BadInput: It does, and they are not to be replaced; or it is a file.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; give a folder as --out")
    if (out / RESULTS).exists() and not replace:
        raise BadInput(f"{out} holds results already; give another --out, or --replace")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out {out} cannot be made: {error.strerror}") from None


def write_results(
    entries: Sequence[Entry], out: Path, *, made: dict[str, Any], against: str | None = None
) -> None:
    """Write results as JSON, tables as Markdown, and figures.

    Args:
        entries: See ``training.ranking.summary``; at least 1.
        out: A folder that is there.
        made: When and by what, for the JSON.
        against: Label from which the table of differences counts; None: no such table.

    Raises:
        BadInput: There is no such label, or the disk is full.
    """
    if against is not None and against not in labels(entries):
        raise BadInput(f"--against {against} is no label; there are {', '.join(labels(entries))}")
    summary = {
        label: {name: found.to_json() for name, found in own.items()}
        for label, own in summarise(entries).items()
    }
    content = {"format": FORMAT, **made, "summary": summary, "entries": list(entries)}
    try:
        (out / TABLES).write_text(report(entries, against), "utf-8")
        write_figures(entries, out / FIGURES)
        # The results come last: where they are, the rest is there too.
        beside = out / f".{RESULTS}.new"
        beside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
        beside.replace(out / RESULTS)
    except OSError as error:
        raise BadInput(f"{out} cannot be written to: {error.strerror}; make room") from None


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file of results, or of the folder it is in.

    Raises:
        BadInput: It cannot be read, or is no such file.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read as results: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadInput(f"{file} is not of the format {FORMAT}; make it anew with evaluate")
    entries = content.get("entries")
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{file} holds no results; make it anew with evaluate")
    for entry in entries:
        missing = [name for name in NEEDED if name not in entry]
        if missing:
            raise BadInput(f"{file} lacks {missing[0]} of a result; make it anew with evaluate")
    return entries


def join(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the entries of several files.

    Raises:
        BadInput: One cannot be read, or two hold the same network on the same split.
    """
    if not paths:
        raise BadInput("--join needs files of results; name them after it")
    joined: list[dict[str, Any]] = []
    seen: dict[tuple[Any, ...], Path] = {}
    for path in paths:
        for entry in read_results(path):
            # Runs of one label and seed may differ in their figures, such as the margins.
            names = ("label", "split_seed", "seed", "run")
            key = (entry["data"]["digest"], *(entry.get(name) for name in names))
            if key in seen:
                raise BadInput(
                    f"{path} and {seen[key]} both hold {entry['label']} of split "
                    f"{entry['split_seed']} and seed {entry['seed']}; name it once"
                )
            seen[key] = path
            joined.append(entry)
    return joined
