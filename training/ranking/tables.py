"""Markdown tables laid out like the paper's, with its figures beside ours. Pure.

Figures are in percent; ± is half the 95 % interval over splits, or over seeds of a single split.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from training.ranking.claims import COLUMNS, TITLE, answers
from training.ranking.margins import best_margins
from training.ranking.paper import DIMENSIONS, METHODS, TABLE_KS, Method, method
from training.ranking.precision import KS
from training.ranking.spread import Spread
from training.ranking.summary import Entry, Summary, differences, labels, summarise

NONE = "–"
ASKED = {"paper": "two queries a type", "every": "every photograph asked"}
PAPERS = "paper"
"""The protocol of ``ASKED`` that the paper's figures are of."""

FITS = {
    "test database": "the test database, as in the paper",
    "train": "training's photographs, so that nothing of the test is seen",
}
KEY_FIGURES = {
    "every/map": "mAP, every photograph",
    "paper/map": "mAP, two queries",
    "every/recall/1": "k=1, every photograph",
    "flags/unseen/0.01": "recall at 1 % false flags",
}


def report(entries: Sequence[Entry], against: str | None = None) -> str:
    """Return a Markdown document of all tables.

    Args:
        entries: See ``training.ranking.summary``; at least 1.
        against: Label from which differences are counted; None: no such table.
    """
    summary = summarise(entries)
    parts = [
        _head(entries),
        claim_section(entries),
        margin_section(entries),
        *(tables_1_and_2(summary, protocol) for protocol in ASKED),
        *(table_3(summary, fit) for fit in FITS),
        rank_table(summary),
        difference_table(entries, against) if against else "",
        flag_table(summary, entries),
        calibration_table(summary),
        type_table(entries),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def claim_section(entries: Sequence[Entry]) -> str:
    """Return what each part of the method gains; empty where no two parts were measured."""
    table = claim_table(entries)
    if not table:
        return ""
    return (
        f"## {TITLE}\n\n"
        "**Bold**: the 95 % interval of the mean difference (Student's t over splits) holds no 0. "
        "Splits share photographs and the questions are several, so intervals are rather too "
        "narrow. *Seen* asks whether the paper's gain, by its own two queries a type, lies in our "
        "interval: `not told` where 0 does, too.\n\n"
        f"{table}"
    )


def claim_table(entries: Sequence[Entry]) -> str:
    """Return a table of the answers of ``training.ranking.claims``; empty without any."""
    rows = [
        [
            answer.question.says,
            str(next(iter(answer.seen.values())).count),
            *(_sure(answer.seen[name]) for name in COLUMNS),
            NONE if answer.paper is None else f"{answer.paper:+.1f}",
            answer.verdict or NONE,
        ]
        for answer in answers(entries)
    ]
    if not rows:
        return ""
    return _table(["", "splits", *COLUMNS.values(), "paper", "seen"], rows)


def margin_section(entries: Sequence[Entry]) -> str:
    """Return how far apart the two best pairs of margins are; empty with fewer than two pairs."""
    found = best_margins(entries)
    if found is None:
        return ""
    return f"## Margins of the double-margin loss\n\n{found.says()}"


def tables_1_and_2(summary: Summary, protocol: str) -> str:
    """Return mAP and Recall@k without PCA; the paper's beside those that are asked as it asks."""
    beside = protocol == PAPERS
    header = ["method", "mAP", *(["paper"] if beside else []), "mAP, standard AP"]
    for k in TABLE_KS:
        header += [f"k={k}", *(["paper"] if beside else [])]
    rows = []
    for title, row, own in _rows(summary):
        if not beside and not own:
            continue
        cells = [title, _cell(own.get(f"{protocol}/map"))]
        cells += [_number(row.map if row else None)] if beside else []
        cells.append(_cell(own.get(f"{protocol}/map-standard")))
        for k in TABLE_KS:
            cells.append(_cell(own.get(f"{protocol}/recall/{k}")))
            cells += [_number(row.recall.get(k) if row else None)] if beside else []
        rows.append(cells)
    return f"## Tables 1 and 2: without PCA, {ASKED[protocol]} (%)\n\n{_table(header, rows)}"


def table_3(summary: Summary, fit: str) -> str:
    """Return mAP after PCA; under each of our rows the paper's."""
    header = ["method", "", *(f"{dimension}" for dimension in DIMENSIONS)]
    rows = []
    for title, row, own in _rows(summary):
        for protocol, said in ASKED.items():
            cells = _counted([own.get(f"{protocol}/pca/{fit}/{d}") for d in DIMENSIONS])
            if any(cell != NONE for cell in cells):
                rows.append([title, said, *cells])
        if row is not None and row.reduced:
            rows.append(
                [title, "paper, two queries", *(_number(row.reduced.get(d)) for d in DIMENSIONS)]
            )
    return (
        f"## Table 3: mAP after PCA fitted on {FITS[fit]}, by dimension (%)\n\n"
        "A split has no more dimensions than photographs to fit on; *of* says so where fewer "
        "splits have as many, and such a mean is not to be compared with its neighbours.\n\n"
        f"{_table(header, rows)}"
    )


def rank_table(summary: Summary) -> str:
    """Return Recall@k for all k, without PCA."""
    rows = []
    for title, row, own in _rows(summary):
        for protocol, said in ASKED.items():
            cells = [_cell(own.get(f"{protocol}/recall/{k}")) for k in KS]
            if any(cell != NONE for cell in cells):
                rows.append([title, said, *cells])
        if row is not None and row.recall:
            rows.append(
                [title, "paper, two queries, 512-d", *(_number(row.recall.get(k)) for k in KS)]
            )
    header = ["method", "", *(f"k={k}" for k in KS)]
    return f"## Recall@k, without PCA (%)\n\n{_table(header, rows)}"


def difference_table(entries: Sequence[Entry], against: str) -> str:
    """Return how much better each label is than one of them, paired by split, in points."""
    found = differences(entries, against)
    rows = [
        [
            label,
            str(max((own[name].count for name in KEY_FIGURES if name in own), default=0)),
            *(_cell(own.get(name), sign="+") for name in KEY_FIGURES),
        ]
        for label, own in found.items()
    ]
    if not rows:
        return ""
    header = ["method", "splits", *KEY_FIGURES.values()]
    return f"## More than {against}, paired by split (points)\n\n{_table(header, rows)}"


def flag_table(summary: Summary, entries: Sequence[Entry]) -> str:
    """Return recall at rates of false flags; empty where nothing harmless was there."""
    header = ["method", "prototypes", "area", "at 0.1 %", "at 1 %", "at 5 %"]
    header += ["look-alikes flagged at 1 %", "at 1 % of look-alikes alone"]
    names = ["area", "0.001", "0.01", "0.05", "lookalikes", "alone/0.01"]
    kinds = {"unseen": "training's types", "seen": "the test's own types"}
    rows = [
        [label, said, *(_cell(own.get(f"flags/{kind}/{name}")) for name in names)]
        for label, own in summary.items()
        for kind, said in kinds.items()
        if f"flags/{kind}/area" in own
    ]
    if not rows:
        return ""
    return (
        "## Flags: recall of the test's firearms at rates of false flags (%)\n\n"
        "A photograph is flagged by its similarity to the nearest prototype: the training's "
        "photographs, so that no type flagged is known, or the test's own, each photograph asked "
        "against the others. Thresholds are chosen on the photographs reported."
        f"{_learnt(entries)}\n\n"
        f"{_table(header, rows)}"
    )


def calibration_table(summary: Summary) -> str:
    """Return expected calibration errors; empty where none was measured."""
    rows = [
        [label, _cell(own["error/equal-width"]), _cell(own["error/equal-count"])]
        for label, own in summary.items()
        if "error/equal-width" in own
    ]
    if not rows:
        return ""
    return (
        "## Calibration: expected calibration error (%)\n\n"
        "Fitted on the validation types and half of the harmless photographs, measured on the "
        "test types and the other half, both kinds weighing one half; 15 bins.\n\n"
        f"{_table(['method', 'equal width', 'equal count'], rows)}"
    )


def type_table(entries: Sequence[Entry]) -> str:
    """Return the mAP of each type, every photograph asked, means over the entries that test it."""
    names = labels(entries)
    cells: dict[str, dict[str, list[float]]] = {}
    photographs: dict[str, int] = {}
    for entry in entries:
        for row in entry["types"]:
            own = cells.setdefault(row["type"], {name: [] for name in names})
            own[entry["label"]].append(row["map"])
            photographs[row["type"]] = row["photographs"]
    rows = [
        [kind, str(photographs[kind]), *(_share(cells[kind][name]) for name in names)]
        for kind in sorted(cells)
    ]
    header = ["type", "photographs", *names]
    return f"## mAP by type, every photograph asked (%)\n\n{_table(header, rows)}"


def _head(entries: Sequence[Entry]) -> str:
    lines = ["# Evaluation", ""]
    seen: dict[tuple[Any, Any], Mapping[str, Any]] = {}
    for entry in entries:
        seen.setdefault((entry["data"]["name"], entry["split_seed"]), entry["data"])
    for (name, seed), data in seen.items():
        lines.append(
            f"- {name}, split {seed}: training {data['train']} photographs of "
            f"{data['train_types']} types; test {data['test']} of {data['test_types']} types with "
            f"{data['queries']} queries; harmless {data['harmless']}"
        )
    digests = [data["digest"] for data in seen.values()]
    if len(digests) > 1 and len(set(digests)) == 1:
        lines += ["", "All are the data set's own split: they differ in the seed of chance only."]
    lines += [
        "",
        "Ours in percent ± half the 95 % interval of the mean over splits (over networks where "
        "there is one split; none with a single network); random splits share photographs, so that "
        "the interval is rather too narrow than too wide. mAP by trapezoids, as the authors "
        "compute it, unless the column says standard. The paper's figures are of Firearm 14k, "
        "VGG16 at 384 pixels and two queries a type: they stand beside figures that are asked so, "
        "and are no level to be reached on other photographs by other networks.",
    ]
    return "\n".join(lines)


def _learnt(entries: Sequence[Entry]) -> str:
    """Return a warning where networks may have learnt the harmless photographs of the table."""
    found = dict.fromkeys(str(e["label"]) for e in entries if e.get("harmless_per_batch"))
    if not found:
        return ""
    return (
        f" Harmless photographs took part in the training of {', '.join(found)}: where they are "
        "those measured here, its false flags are too few."
    )


def _rows(summary: Summary) -> Iterator[tuple[str, Method | None, dict[str, Spread]]]:
    """Yield the paper's rows in its order, each with ours where there are any, and then others."""
    named = {label: method(label) for label in summary}
    for row in METHODS:
        own = [label for label, known in named.items() if known is row]
        for label in own:
            said = "" if label == row.key else f" [{label}]"
            yield f"{row.title}{said}", row, summary[label]
        if not own:
            yield row.title, row, {}
    for label, known in named.items():
        if known is None:
            yield label, None, summary[label]


def _cell(found: Spread | None, sign: str = "") -> str:
    if found is None:
        return NONE
    half = "" if found.half is None else f" ± {100 * found.half:.1f}"
    return f"{100 * found.mean:{sign}.1f}{half}"


def _counted(row: Sequence[Spread | None]) -> list[str]:
    """Return cells that say so where they are of fewer splits than others of their row."""
    splits = max((found.count for found in row if found is not None), default=0)
    return [
        _cell(found)
        + (f" (of {found.count})" if found is not None and found.count < splits else "")
        for found in row
    ]


def _sure(found: Spread) -> str:
    """Return a difference, bold where its interval holds no 0."""
    cell = _cell(found, sign="+")
    apart = found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    return f"**{cell}**" if apart else cell


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:g}"


def _share(values: Sequence[float]) -> str:
    return f"{100 * mean(values):.1f}" if values else NONE


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
