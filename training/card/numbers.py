"""How good a release is: protocol, held-out sources, its own test side, comparisons. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.calibration.figures import SMALL
from training.card import sources
from training.card.inputs import Inputs
from training.card.markdown import (
    NONE,
    bullets,
    code,
    part,
    percent,
    points,
    rate,
    table,
    with_interval,
)
from training.ranking.paper import method
from training.ranking.spread import LEVEL, spread
from training.ranking.summary import differences, summarise
from training.report import RATES
from training.study.foldtable import TYPED
from training.study.foldtable import summarise as summarise_folds
from training.study.verdicts import MAIN_RATE

FRAMES = {"whole": "whole photograph", "with_regions": "with regions"}
SIDES = {"threshold": "set the thresholds", "test": "test"}
BASE = "cls+double"
"""The paper's method, from which the study counts differences."""


def protocol(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on how the figures were had."""
    others = [len(fold["harmless_sources"]) for fold in inputs.folds]
    family = sum(len(fold["together"]) > 1 for fold in inputs.folds)
    stored = [fold["prototypes"] for fold in inputs.folds]
    yield "## Protocol"
    yield from bullets(
        (
            f"**Sources are held out, not photographs.** Each of {len(inputs.folds)} sources in "
            "turn is left out wholly; the network is trained anew on the others and tested on the "
            f"firearms of that source ({family} of the folds leave out further sources that "
            "descend from the same photographs, too). Photographs split at random look better, as "
            "what comes from one place is on both sides, and are no evidence for other places.",
            "**Harmless photographs are of other sources as well**: those of the held-out source, "
            f"and those of {min(others)} to {max(others)} sources of which none was learnt.",
            f"**Prototypes** of a fold are all that it learnt from ({min(stored)} to "
            f"{max(stored)}); the release keeps {len(inputs.release.prototypes)}.",
            "**Thresholds** of recall at a rate of false flags, and what regions need beyond the "
            "whole, are set on the fold's own harmless photographs, as is usual for such a "
            "figure; what thresholds of the other folds do stands apart.",
            f"**Small firearms** are those whose boxes cover at most {rate(SMALL)} of the "
            "photograph; false flags are counted with regions where regions are judged.",
            f"**Types** count over sources with {TYPED} typed photographs or more.",
            f"**±** is half of the {rate(LEVEL)} interval of the mean by Student's t over "
            "sources. They are few and were not drawn at random: it shows the spread and promises "
            "nothing of the next source.",
        )
    )


def held_out(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on the sources held out in turn, by the release's own rule."""
    yield "## Numbers"
    alone = " of neighbours alone" if inputs.release.policy.head is not None else ""
    yield f"### Each source held out in turn, by the rule {code(inputs.rule)}{alone}"
    yield f"The release judges: {FRAMES[inputs.judged]}."
    yield from _spreads(inputs)
    yield from _recalls(inputs)
    yield from _types(inputs)
    yield from bullets(_joined(inputs))


def own_side(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on the release's own held-out photographs."""
    report = inputs.release.report
    calibration = report.get("calibration") or {}
    halves = calibration.get("threshold_halves")
    yield "### The release itself on sources that it has not seen"
    yield (
        "At its own thresholds, on the photographs of the table of data: those that set the "
        "thresholds, and those that set no threshold. Types are asked of the nearest firearm, over "
        "types that have prototypes."
    )
    yield from bullets(sources.choices(inputs))
    sides = {side: report["figures"][side] for side in SIDES if side in report["figures"]}
    measured = {"threshold": halves, "test": calibration.get("test")}
    columns = {side: _side(sides[side], measured.get(side)) for side in sides}
    names = dict.fromkeys(name for column in columns.values() for name in column)
    yield from table(
        ("", *(SIDES[side] for side in columns)),
        ([name, *(column.get(name, NONE) for column in columns.values())] for name in names),
    )
    yield from sources.by_source(inputs)
    if halves:
        yield (
            "The calibration error of photographs that set the thresholds is of scores fitted to "
            "one half of their sources and measured on the other."
        )


def study(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on methods compared; none without such results."""
    if not inputs.study:
        return
    summary = summarise(inputs.study)
    gains = differences(inputs.study, BASE) if BASE in summary else {}
    networks = sorted({entry["network"]["backbone"] for entry in inputs.study})
    yield "### Methods compared on random splits of the types"
    yield (
        f"Types are split at random into training and test ({', '.join(map(code, networks))}); "
        "mAP by trapezoids, as the paper computes it, mean over splits ± half of the "
        f"{rate(LEVEL)} interval. The paper's figures are of its own queries, other photographs "
        "and another network: they are no level to be compared with."
    )
    yield from table(
        ("method", "splits", "mAP, every photograph asked", f"beyond {code(BASE)}, points",
         "first hit right", "mAP, the paper's queries", f"beyond {code(BASE)}, points",
         "the paper's own mAP"),
        (
            (
                code(label), found["every/map"].count, with_interval(found["every/map"]),
                points(gains[label]["every/map"]) if label in gains else NONE,
                with_interval(found["every/recall/1"]), with_interval(found["paper/map"]),
                points(gains[label]["paper/map"]) if label in gains else NONE, _paper(label),
            )
            for label, found in summary.items()
        ),
    )  # fmt: skip


def _spreads(inputs: Inputs) -> Iterator[str]:
    rows = []
    for frames, said in FRAMES.items():
        for each in RATES:
            recalls = [its[frames][f"{each:g}"] for its in inputs.ruled]
            found = spread(recalls)
            worst = inputs.folds[recalls.index(min(recalls))]["source"]
            deviation = NONE if found.deviation is None else percent(found.deviation)
            rows.append((f"{said}, {rate(each)}", with_interval(found), deviation,
                         percent(min(recalls)), code(worst)))  # fmt: skip
    header = ("recall at false flags", "mean", "standard deviation", "worst", "of")
    yield from table(header, rows)


def _recalls(inputs: Inputs) -> Iterator[str]:
    rates = [rate(each) for each in RATES]
    header = ("held out", "firearms", "harmless", *(f"recall at {each}" for each in rates),
              *(f"with regions, {each}" for each in rates))  # fmt: skip
    yield from table(
        header,
        (
            (
                code(fold["source"]), fold["firearms"], fold["harmless"],
                *(percent(its[frames][f"{each:g}"]) for frames in FRAMES for each in RATES),
            )
            for fold, its in zip(inputs.folds, inputs.ruled, strict=True)
        ),
    )  # fmt: skip


def _types(inputs: Inputs) -> Iterator[str]:
    main = rate(MAIN_RATE)
    header = ("held out", "type right", "of types that have prototypes", "family right",
              f"look-alikes flagged at {main}", f"small firearms at {main}: whole",
              "with regions")  # fmt: skip
    rows = []
    for fold, its in zip(inputs.folds, inputs.ruled, strict=True):
        types, small = its["types"], its["small"]
        close = its["lookalikes_flagged"][inputs.judged]
        rows.append(
            (
                code(fold["source"]),
                part(types["right"], types["typed"]),
                part(types["known_right"], types["known"]),
                part(types["family_right"], types.get("family_known", types["typed"])),
                part(close["flagged"], close["photographs"]),
                part(small["whole"], small["photographs"]),
                part(small["with_regions"], small["photographs"]),
            )
        )
    yield from table(header, rows)


def _joined(inputs: Inputs) -> Iterator[str]:
    """Yield sentences on all folds together."""
    found = summarise_folds(inputs.folds, inputs.rule)
    typed = [its["types"] for its in inputs.ruled if its["types"]["typed"] >= TYPED]
    if typed:
        right = spread([types["right"] / types["typed"] for types in typed])
        yield (
            f"Type right: {with_interval(right)} on average over {len(typed)} sources (family "
            f"{percent(found['types family_right'])}; of types that have prototypes "
            f"{percent(found['types known_right'])})."
        )
    for frames, said in FRAMES.items():
        close = found[f"{frames} look-alikes flagged"]
        small = found[f"{frames} small firearms"]
        yield (
            f"{said.capitalize()}, at {rate(MAIN_RATE)} false flags: {percent(close['share'])} of "
            f"{close['of']} look-alikes and {percent(small['share'])} of {small['of']} small "
            "firearms flagged."
        )
    whole, both = (found[f"{frames} small firearms"]["share"] for frames in FRAMES)
    if whole:
        yield f"With regions, {both / whole:.2f} times as many small firearms are flagged."
    yield from _crossed(found.get("other folds' threshold and score"))


def _crossed(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        yield "There is one fold only: what thresholds of other folds do is not known."
        return
    recall, flags, error = found["recall"], found["false_flags"], found["calibration_error"]
    yield (
        f"With the threshold that gives {rate(MAIN_RATE)} false flags on the other folds: recall "
        f"{percent(recall['mean'])} on average and {percent(recall['worst'])} in the worst; false "
        f"flags {percent(flags['mean'])} on average and {percent(flags['worst'])} in the worst."
    )
    yield (
        "Expected calibration error of scores fitted to the other folds, firearms and harmless "
        f"photographs weighing alike: {error['pooled']:.3f} of all folds together, "
        f"{error['mean_of_folds']:.3f} on average of single folds."
    )


def _side(figures: Mapping[str, Any], measured: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what is said of a side of the report: row → cell."""
    flags, types = figures["flags"], figures["types"]
    at, near = flags["at_threshold"], "with near-misses"
    said = {
        "firearms": str(flags["firearms"]),
        "harmless photographs": str(flags["harmless"]),
        "firearms flagged": percent(at["recall"]),
        f"firearms flagged, {near}": percent(at["recall_with_near_misses"]),
        "false flags": percent(at["false_flags"]),
        f"false flags, {near}": percent(at["false_flags_with_near_misses"]),
    }
    for name, share in flags["recall_at_false_flags"].items():
        said[f"recall, were the threshold set here for {rate(float(name))}"] = percent(share)
    said["firearms whose type is asked"] = str(types["queries"])
    said["type right"] = percent(types["recall_at_1"])
    said["family right"] = percent(types["family_at_1"])
    served = figures.get("types_as_served")
    if served:
        said["type right, as the policy names it"] = percent(served["type_right"])
        said["family right, as the policy names it"] = percent(served["family_right"])
    said["mAP of types"] = percent(types["mean_average_precision"])
    said.update(_closer(figures))
    if measured:
        said["expected calibration error"] = f"{measured['equal-width']['error']:.3f}"
    return said


def _closer(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield rows on look-alikes and small firearms, where the report has them."""
    close, small = figures.get("lookalikes"), figures.get("small_firearms")
    if close:
        yield "look-alikes", str(close["photographs"])
        yield "look-alikes flagged", percent(close["flagged"])
    if small:
        yield "small firearms", str(small["photographs"])
        for name in ("without_regions", "with_regions"):
            if name in small:
                yield (
                    f"small firearms flagged {name.replace('_', ' ')}",
                    percent(small[name]["recall"]),
                )


def _paper(label: str) -> str:
    row = method(label)
    return NONE if row is None or row.map is None else f"{row.map:g} %"
