"""Pictures of results: curves, histograms, heat maps. Must not know networks or photographs.

Colours are those of Okabe and Ito, which the colour-blind tell apart; what a colour says is said
by a label, a dash or a place too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.ranking.margins import Margins, margins_of, networks_of
from training.ranking.paper import DIMENSIONS, MARGINS, method
from training.ranking.spread import Spread
from training.ranking.summary import Entry, Summary, labels, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.")
MARKERS = "osD^vPX"
SAME, OTHER, GREY = "#0072B2", "#D55E00", "#777777"
RATES = (0.001, 0.01, 0.05)
PANELS = 3
"""Panels side by side."""

MOST_PAIRS = 15
LABEL = 7
"""Points of the names beside curves."""

APART = 0.055
"""Least distance of such names from one another, over the height of a panel."""

DPI = 130


ASKED = {"paper": "two queries a type", "every": "every photograph asked"}
FITTED = {"test database": "the test database", "train": "training's photographs"}


def write_figures(entries: Sequence[Entry], out: Path) -> list[Path]:
    """Draw what the entries have figures for, and return the files.

    Args:
        entries: See ``training.ranking.summary``; at least 1.
        out: Folder, made if it is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    summary, said = summarise(entries), described(entries)
    drawn = {
        "distances": distance_figure(entries, said),
        "pca": pca_figure(summary, said),
        "confusions": confusion_figure(entries, said),
        "margins": margin_figure(margins_of(entries), said, networks_of(entries)),
        "roc": roc_figure(entries, said),
        "reliability": reliability_figure(entries, said),
    }
    paths = []
    for name, figure in drawn.items():
        if figure is not None:
            paths.append(out / f"{name}.png")
            figure.savefig(paths[-1], dpi=DPI)
    return paths


def described(entries: Sequence[Entry]) -> str:
    """Return what a title says of the data."""
    first = entries[0]["data"]
    names = ", ".join(dict.fromkeys(entry["data"]["name"] for entry in entries))
    tests = {(e["data"]["name"], e["split_seed"]): e["data"]["test"] for e in entries}
    if len(tests) > 1:
        # Splits share photographs: their sum would count some several times.
        low, high = min(tests.values()), max(tests.values())
        count = f"{low}" if low == high else f"{low} to {high}"
        return f"{names}, n = {count} test photographs in each of {len(tests)} splits"
    return f"{names}, n = {first['test']} test photographs, {first['test_types']} types"


def distance_figure(entries: Sequence[Entry], said: str) -> "Figure":
    """Return histograms of distances, a panel for each label on one scale."""
    names = labels(entries)
    figure, axes = _panels(len(names), said, "Distances of pairs", sharey=True)
    for axis, name in zip(axes, names, strict=False):
        own = [entry["distances"] for entry in entries if entry["label"] == name]
        edges = np.array(own[0]["edges"])
        for kind, colour, dash in (("same", SAME, "-"), ("other", OTHER, "--")):
            counts = np.sum([part[kind]["counts"] for part in own], axis=0)
            if not (pairs := int(counts.sum())):
                continue
            mean = sum(p[kind]["mean"] * p[kind]["pairs"] for p in own if p[kind]["pairs"]) / pairs
            label = f"{kind} type{'s' if kind == 'other' else ''}, mean {mean:.2f}"
            height = 100 * counts / pairs
            axis.stairs(height, edges, color=colour, linestyle=dash, label=label, linewidth=1.6)
            axis.stairs(height, edges, color=colour, alpha=0.2, fill=True)
            axis.axvline(mean, color=colour, linestyle=dash, linewidth=0.8)
        axis.set(title=name, xlabel="Euclidean distance (embeddings of norm 1)", xlim=(0, 2))
        axis.legend(fontsize=7, loc="upper left")
    # When all is drawn: a limit that is set ends the search for the others.
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("share of pairs (%)")
    return figure


def pca_figure(summary: Summary, said: str) -> "Figure | None":
    """Return mAP by dimension, a panel for each way to ask and to fit, and one of the paper's.

    The paper asks two queries a type and fits on the test database: its curves have a panel of
    their own beside ours that are had so. None where nothing was measured after PCA.
    """
    panels = {
        (asked, fit): {name: _reduced(own, f"{asked}/pca/{fit}") for name, own in summary.items()}
        for asked in ASKED
        for fit in FITTED
    }
    panels = {key: {n: d for n, d in own.items() if d} for key, own in panels.items()}
    if not any(panels.values()):
        return None
    figure, axes = _panels(6, said, "mAP after PCA, means over splits", height=3.7)
    paper = {name: dict(row.reduced) for name in summary if (row := method(name)) and row.reduced}
    # The paper's stand at the end of the row that is asked as the paper asks.
    order = [("paper", "test database"), ("paper", "train"), None,
             ("every", "test database"), ("every", "train")]  # fmt: skip
    spans = {
        asked: _span([d for (a, _), own in panels.items() if a == asked for d in own.values()])
        for asked in ASKED
    }
    for axis, key in zip(axes, order, strict=False):
        if key is None:
            _curves(axis, paper, list(summary))
            axis.set_title("the paper (Firearm 14k, VGG16):\ntwo queries a type, "
                           "on the test database", fontsize=9)  # fmt: skip
            continue
        asked, fit = key
        means = {n: {k: 100 * v.mean for k, v in d.items()} for n, d in panels[key].items()}
        _curves(axis, means, list(summary), spans[asked])
        axis.set_title(f"here: {ASKED[asked]},\nfitted on {FITTED[fit]}", fontsize=9)
    axes[0].set_ylabel("mAP (%)")
    axes[3].set_ylabel("mAP (%)")
    axes[5].set_axis_off()
    axes[5].text(0, 1, _widths(panels), va="top", fontsize=8, transform=axes[5].transAxes)
    return figure


def confusion_figure(
    entries: Sequence[Entry], said: str, most: int = MOST_PAIRS
) -> "Figure | None":
    """Return the pairs of types most often mistaken, a panel for each label; None without any."""
    pairs = {name: _mistaken(entries, name)[:most] for name in labels(entries)}
    pairs = {name: found for name, found in pairs.items() if found}
    if not pairs:
        return None
    figure, axes = _panels(
        len(pairs), said, "Hardest confusions, every photograph asked", across=2, height=4.2
    )
    for axis, (name, found) in zip(axes, pairs.items(), strict=False):
        texts = [f"{asked} → {other}" for asked, other, *_ in found][::-1]
        shares = [100 * hits / total for *_, hits, total in found][::-1]
        bars = axis.barh(range(len(texts)), shares, color=SAME)
        axis.set_yticks(range(len(texts)), texts, fontsize=7)
        counts = [f"{hits} of {total}" for *_, hits, total in found][::-1]
        axis.bar_label(bars, counts, fontsize=6, padding=2)
        axis.set(title=name, xlabel="queries whose nearest is of that type (%)")
        axis.margins(x=0.15)
    return figure


def margin_figure(ours: Margins, said: str, of: tuple[int, int]) -> "Figure | None":
    """Return heat maps of mAP by both margins, ours and the paper's; None with fewer than two.

    Args:
        ours: See ``training.ranking.margins``.
        said: Of the data.
        of: Splits, and networks of each, that our figures are means of.
    """
    if len(ours) < 2:
        return None
    figure, axes = _panels(
        2, said, "mAP on the test set by the margins of the double-margin loss", across=2
    )
    count = f"{of[0]} split{'s' * (of[0] != 1)}, {of[1]} network{'s' * (of[1] != 1)} each"
    for axis, cells, title in (
        (axes[0], ours, f"here: every photograph asked, {count}"),
        (axes[1], MARGINS, "the paper (Firearm 14k): two queries a type"),
    ):
        positive = sorted({pair[0] for pair in cells})
        negative = sorted({pair[1] for pair in cells})
        grid = np.array([[cells.get((p, n), np.nan) for p in positive] for n in negative])
        image = axis.imshow(grid, origin="lower", cmap="cividis", aspect="auto")
        axis.set_xticks(range(len(positive)), [f"{p:g}" for p in positive])
        axis.set_yticks(range(len(negative)), [f"{n:g}" for n in negative])
        axis.set(title=title, xlabel="margin of positive pairs", ylabel="margin of negative pairs")
        middle = np.nanmean([np.nanmin(grid), np.nanmax(grid)])
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                colour = "white" if value < middle else "black"
                axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour)
        figure.colorbar(image, ax=axis, label="mAP (%)")
    return figure


def roc_figure(entries: Sequence[Entry], said: str) -> "Figure | None":
    """Return recall against false flags on a logarithmic axis, a label's networks averaged.

    None where none was measured.
    """
    kept = [entry for entry in entries if entry["flags"]]
    if not kept:
        return None
    harmless = max(entry["flags"]["unseen"]["harmless"] for entry in kept)
    figure, axes = _panels(2, f"{said}; {harmless} harmless", "Flags", sharey=True)
    steps = np.geomspace(1e-4, 1, 400)
    titles = {"unseen": "prototypes of training's types", "seen": "prototypes of the test's types"}
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        for place, name in enumerate(labels(kept)):
            own = [entry["flags"][kind] for entry in kept if entry["label"] == name]
            recall = np.mean([part["rates"]["0.01"]["recall"] for part in own])
            height = np.mean([_at(part["roc"], steps) for part in own], axis=0)
            label = f"{name}: {100 * recall:.0f} % at 1 %"
            style = {"color": _colour(place), "linestyle": DASHES[place % len(DASHES)]}
            axis.step(100 * steps, 100 * height, where="post", label=label, **style)
        for rate in RATES:
            axis.axvline(100 * rate, color=GREY, linestyle=":", linewidth=0.8)
        axis.set_xscale("log")
        axis.set(title=title, xlabel="false flags (% of harmless photographs)", xlim=(0.01, 100))
        axis.set_ylim(0, 101)
        axis.legend(fontsize=7, loc="best")
    axes[0].set_ylabel("recall (% of firearms flagged)")
    return figure


def reliability_figure(entries: Sequence[Entry], said: str) -> "Figure | None":
    """Return what scores said against what was true; None where none was measured."""
    kept = [entry for entry in entries if entry["calibration"]]
    if not kept:
        return None
    names = labels(kept)
    figure, axes = _panels(len(names), said, "Reliability of scores on held-out photographs")
    for axis, name in zip(axes, names, strict=False):
        own = [entry["calibration"] for entry in kept if entry["label"] == name]
        error = 100 * np.mean([part["equal-width"]["error"] for part in own])
        axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="said = true")
        for part in own:
            bins = part["equal-width"]
            if len(own) == 1:
                axis.plot(bins["said"], bins["true"], color=SAME, linewidth=1)
            sizes = 8 + 300 * np.array(bins["share"])
            axis.scatter(bins["said"], bins["true"], s=sizes, color=SAME, alpha=0.5, linewidths=0)
        count = sum(part["held_out"][kind] for part in own for kind in ("firearms", "harmless"))
        axis.set(title=f"{name}: ECE {error:.1f} %, n = {count}", xlim=(0, 1), ylim=(0, 1))
        axis.set_xlabel("score (said probability of a firearm)")
        axis.set_ylabel("share that shows a firearm\n(area: share of weight)")
        axis.legend(fontsize=7, loc="upper left")
    return figure


def _at(curve: Mapping[str, Any], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the recall of a curve at rates of false flags that it need not have itself."""
    places = np.searchsorted(curve["false_flags"], rates, side="right") - 1
    return np.asarray(curve["recall"], np.float64)[np.maximum(places, 0)]


def _mistaken(entries: Sequence[Entry], name: str) -> list[tuple[str, str, int, int]]:
    """Return (asked, found, mistakes, queries) over all entries of a label, worst share first."""
    hits: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for entry in entries:
        for row in entry["types"] if entry["label"] == name else ():
            totals[row["type"]] += row["queries"]
            hits.update({(row["type"], other): n for other, n in row["taken_for"].items()})
    rows = [(asked, other, count, totals[asked]) for (asked, other), count in hits.items()]
    return sorted(rows, key=lambda row: (-row[2] / row[3], -row[2], row))


def _reduced(own: Mapping[str, Spread], prefix: str) -> dict[int, Spread]:
    """Return dimension → spread of those dimensions that all splits have.

    A small database gives fewer; a mean without its split would look like a fall or a rise.
    """
    found = {d: own[f"{prefix}/{d}"] for d in DIMENSIONS if f"{prefix}/{d}" in own}
    splits = max((spread.count for spread in found.values()), default=0)
    return {d: spread for d, spread in found.items() if spread.count == splits}


def _span(curves: Sequence[Mapping[int, Spread]]) -> tuple[float, float] | None:
    """Return the least and the highest mean in percent, with room beyond both; None without any."""
    means = [100 * found.mean for curve in curves for found in curve.values()]
    if not means:
        return None
    room = 0.08 * (max(means) - min(means)) + 1
    return max(0.0, min(means) - room), min(100.0, max(means) + room)


def _curves(
    axis: "Axes",
    curves: Mapping[str, Mapping[int, float]],
    names: Sequence[str],
    span: tuple[float, float] | None = None,
) -> None:
    """Draw curves in percent with their names at their right ends, one above the other.

    Args:
        axis: Of the panel.
        curves: Name → dimension → percent.
        names: Of all figures, so that one has the same colour and mark in each panel.
        span: Of the panel's figures; None: that of the curves.
    """
    for name, curve in curves.items():
        place = names.index(name)
        axis.plot(
            list(curve), list(curve.values()), color=_colour(place), linewidth=1, markersize=3,
            marker=MARKERS[place % len(MARKERS)], linestyle=DASHES[place % len(DASHES)],
        )  # fmt: skip
    low, high = span or axis.get_ylim()
    axis.set_xscale("log", base=2)
    axis.set_xticks(DIMENSIONS, [str(d) for d in DIMENSIONS], fontsize=8)
    # Room for the names.
    axis.set(xlabel="dimensions", xlim=(14, 5200), ylim=(low, high))
    axis.grid(alpha=0.3)
    ends = {name: (max(curve), curve[max(curve)]) for name, curve in curves.items()}
    ranked = sorted(ends, key=lambda name: ends[name][1])
    heights = _apart([ends[name][1] for name in ranked], low, high)
    for name, height in zip(ranked, heights, strict=True):
        axis.annotate(
            f"{name} {ends[name][1]:.1f}", ends[name], xytext=(800, height), fontsize=LABEL,
            va="center", arrowprops={"arrowstyle": "-", "color": _colour(names.index(name)),
                                     "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3,
                                     "relpos": (0, 0.5)},
        )  # fmt: skip


def _apart(wanted: Sequence[float], low: float, high: float) -> list[float]:
    """Return places as near the wanted ones, which rise, as names can stand within limits."""
    from sklearn.isotonic import isotonic_regression

    if not wanted:
        return []
    step = min(APART, 1 / len(wanted)) * (high - low)
    steps = step * np.arange(len(wanted))
    least, most = low + step / 2, high - step / 2 - steps[-1]
    free = isotonic_regression(np.asarray(wanted) - steps, y_min=least, y_max=max(least, most))
    places: list[float] = (free + steps).tolist()
    return places


def _widths(panels: Mapping[tuple[str, str], Mapping[str, Mapping[int, Spread]]]) -> str:
    """Say how wide the intervals are, which curves that overlap would hide."""
    lines = [
        "Beside each curve: its method and its mAP at",
        "the most dimensions that all splits have.",
        "",
        "Half the 95 % interval of these means,",
        "least to most:",
    ]
    for (asked, fit), own in panels.items():
        halves = [100 * s.half for curve in own.values() for s in curve.values() if s.half]
        said = f"± {min(halves):.1f} to {max(halves):.1f} points" if halves else "not known"
        lines += [f"  {ASKED[asked]}, {FITTED[fit]}:", f"    {said}"]
    return "\n".join([*lines, "", "Splits differ more than methods do: what two", "methods differ "
                      "by stands, paired, in tables.md."])  # fmt: skip


def _panels(
    count: int,
    said: str,
    title: str,
    *,
    across: int = PANELS,
    height: float = 3.4,
    sharey: bool = False,
) -> "tuple[Figure, list[Any]]":
    """Return a figure of its own, without any window or global state, and its panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(count, across)
    rows = -(-count // columns)
    width = 4.4 if across == PANELS else 6.6
    figure = Figure(figsize=(max(6.0, width * columns), height * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel().tolist()
    for axis in axes[count:]:
        axis.set_visible(False)
    figure.suptitle(f"{title}\n{said}", fontsize=10)
    return figure, axes[:count]


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
