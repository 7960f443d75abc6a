"""Results of held-out sources joined: means, the worst, calibration across sources. Pure Markdown.

Reads and writes files of results; must not know networks.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.policy import Policy
from training.calibration.choice import with_score
from training.calibration.probability import probabilities
from training.errors import BadInput
from training.ranking.reliability import reliability
from training.study.crossing import FORMAT
from training.study.verdicts import MAIN_RATE
from training.threshold import at_false_flag_rate

TABLE, SUMMARY = "table.md", "summary.json"
TYPED = 150
"""Photographs that name a model which a source needs to count for types."""

NEEDED = ("source", "firearms", "harmless", "rules")

PRIOR = 0.5
DIGITS = 4
Result = Mapping[str, Any]


def write_table(folder: Path) -> list[str]:
    """Write ``table.md`` and ``summary.json`` of a folder's results; returns the table's lines.

    Raises:
        BadInput: There are no results, or one cannot be read.
    """
    results = read_folds(folder)
    summaries = {rule: summarise(results, rule) for rule in results[0]["rules"]}
    lines: list[str] = []
    for rule, summary in summaries.items():
        lines += _table(results, rule, summary)
    (folder / TABLE).write_text("\n".join(lines) + "\n", "utf-8")
    (folder / SUMMARY).write_text(json.dumps(summaries, indent=1) + "\n", "utf-8")
    return lines


def read_folds(folder: Path) -> list[Result]:
    """Return the results in a folder, the source with most firearms first.

    Raises:
        BadInput: There are none, one cannot be read, or they are of different rules.
    """
    found = {file.name: _read(file) for file in sorted(folder.glob("*.json"))}
    results = {name: content for name, content in found.items() if content is not None}
    if not results:
        raise BadInput(f"{folder} holds no results of folds; run some")
    first = next(iter(results))
    for name, content in results.items():
        if set(content["rules"]) != set(results[first]["rules"]):
            raise BadInput(
                f"{folder / name} has other rules than {first}; remove the older and run again"
            )
    return sorted(results.values(), key=lambda each: -each["firearms"])


def _read(file: Path) -> Result | None:
    """Return a fold's result; None if the file is of something else."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read ({error}); remove it and run again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    missing = [name for name in NEEDED if name not in content]
    if missing:
        raise BadInput(f"{file} lacks {missing[0]} of a result; remove it and run again")
    return content


def summarise(results: Sequence[Result], rule: str) -> dict[str, Any]:
    """Return means over folds, the worst, and what thresholds and scores of other folds do."""
    own = [result["rules"][rule] for result in results]
    summary: dict[str, Any] = {"folds": len(own)}
    for frames in ("whole", "with_regions"):
        for rate in own[0][frames]:
            recalls = [each[frames][rate] for each in own]
            summary[f"{frames} recall at {rate}"] = {
                "mean": round(float(np.mean(recalls)), DIGITS),
                "worst": round(min(recalls), DIGITS),
            }
        kinds = [each["lookalikes_flagged"][frames] for each in own]
        summary[f"{frames} look-alikes flagged"] = _ratio(kinds, "flagged", "photographs")
    small = [each["small"] for each in own]
    for frames in ("whole", "with_regions"):
        summary[f"{frames} small firearms"] = _ratio(small, frames, "photographs")
    types = [each["types"] for each in own if each["types"]["typed"] >= TYPED]
    # Results from before families could be unknown ask all that are typed.
    asked = [{**each, "family_known": each.get("family_known", each["typed"])} for each in types]
    for name, of in (("right", "typed"), ("family_right", "family_known"),
                     ("known_right", "known")):  # fmt: skip
        shares = [each[name] / each[of] for each in asked if each[of]]
        summary[f"types {name}"] = round(float(np.mean(shares)), DIGITS) if shares else None
    summary["types sources"] = len(types)
    if len(own) > 1:
        summary["other folds' threshold and score"] = _crossed(own)
    return summary


def _ratio(parts: Sequence[Mapping[str, int]], name: str, of: str) -> dict[str, Any]:
    total = sum(part[of] for part in parts)
    count = sum(part[name] for part in parts)
    return {"of": total, "share": round(count / total, DIGITS) if total else None}


def _crossed(own: Sequence[Result]) -> dict[str, Any]:
    """Take each fold's threshold, and its score's slope and offset, from the other folds."""
    guns = [np.array(each["evidence"]["firearms"]) for each in own]
    rest = [np.array(each["evidence"]["harmless"]) for each in own]
    recalls, rates, errors = [], [], []
    scored, truths, weights = [], [], []
    for place in range(len(own)):
        others = [n for n in range(len(own)) if n != place]
        evidence = np.concatenate([*(guns[n] for n in others), *(rest[n] for n in others)])
        firearm = np.arange(len(evidence)) < sum(len(guns[n]) for n in others)
        threshold = at_false_flag_rate(evidence[~firearm], MAIN_RATE, highest=2.0)
        policy = with_score(Policy(0.0, temperature=1.0), evidence, firearm, PRIOR)
        recalls.append(float((guns[place] >= threshold).mean()))
        rates.append(float((rest[place] >= threshold).mean()))
        scores = probabilities(policy, np.concatenate([guns[place], rest[place]]))
        truth = np.arange(len(scores)) < len(guns[place])
        weight = np.where(truth, PRIOR / truth.sum(), (1 - PRIOR) / (~truth).sum())
        errors.append(reliability(scores, truth, weights=weight).error)
        scored.append(scores)
        truths.append(truth)
        weights.append(weight)
    pooled = reliability(
        np.concatenate(scored), np.concatenate(truths), weights=np.concatenate(weights)
    )
    return {
        "recall": {"mean": _rounded(np.mean(recalls)), "worst": _rounded(min(recalls))},
        "false_flags": {"mean": _rounded(np.mean(rates)), "worst": _rounded(max(rates))},
        "calibration_error": {
            "pooled": _rounded(pooled.error),
            "mean_of_folds": _rounded(np.mean(errors)),
        },
    }


def _rounded(value: Any) -> float:
    return round(float(value), DIGITS)


def _table(results: Sequence[Result], rule: str, summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"## Rule: {rule}",
        "",
        "| held out | firearms | harmless | recall at 0.1 % | 1 % | 5 % | 1 %, regions "
        "| type right | of known types | look-alikes flagged | small firearms: whole, regions |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        its = result["rules"][rule]
        types, kinds, small = its["types"], its["lookalikes_flagged"]["whole"], its["small"]
        cells = [
            result["source"], result["firearms"], result["harmless"],
            *(f"{its['whole'][rate]:.3f}" for rate in ("0.001", "0.01", "0.05")),
            f"{its['with_regions']['0.01']:.3f}",
            _share(types["right"], types["typed"]), _share(types["known_right"], types["known"]),
            _share(kinds["flagged"], kinds["photographs"]),
            f"{small['whole']}, {small['with_regions']} of {small['photographs']}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", *(f"- {name}: {_said(value)}" for name, value in summary.items()), ""]
    return lines


def _share(count: int, of: int) -> str:
    return f"{count / of:.3f} of {of}" if of else "none"


def _said(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return "; ".join(f"{name} {_said(part)}" for name, part in value.items())
