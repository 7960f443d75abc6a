"""What a model card is made of, read and checked. Must not know how a card looks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.release import Release, load_release
from training.errors import BadInput
from training.evaluation import FORMAT as REPORT
from training.ranking.results import RESULTS, join
from training.report import RATES
from training.starter import TEMPERATURE
from training.study.foldtable import read_folds
from training.study.verdicts import RULES

NEEDED_OF_REPORT = (
    "figures", "prototypes", "threshold_photographs", "test_photographs", "recipe", "notes",
)  # fmt: skip
NEEDED_OF_FOLD = (
    "source", "together", "harmless_sources", "run", "settings", "prototypes", "firearms",
    "harmless", "rules",
)  # fmt: skip
NEEDED_OF_SHOWN = ("firearms", "harmless", "ways")
NEIGHBOURS = next(name for name, rule in RULES.items() if rule.temperature == TEMPERATURE)
"""The rule whose figures of folds stand in the card of a release with a head."""

NEEDED_OF_RULE = ("whole", "with_regions", "lookalikes_flagged", "small", "types", "evidence")


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that a card tells.

    Args:
        release: With its report.
        folds: Results of held-out sources, the source with most firearms first; at least 1.
        rule: Name of the release's own rule of scoring among those of the folds.
        study: Entries of comparisons of methods; empty: none.
        shown: What is flagged in other ways of showing a photograph; None: not measured.
    """

    release: Release
    folds: tuple[Mapping[str, Any], ...]
    rule: str
    study: tuple[Mapping[str, Any], ...] = ()
    shown: Mapping[str, Any] | None = None

    @property
    def ruled(self) -> list[Mapping[str, Any]]:
        """What the release's rule made of each fold."""
        return [fold["rules"][self.rule] for fold in self.folds]

    @property
    def judged(self) -> str:
        """Which of a fold's figures are as the release judges: ``with_regions`` or ``whole``."""
        return "whole" if self.release.policy.region_margin is None else "with_regions"


def read_inputs(
    release: Path, folds: Path, study: Path | None = None, transformations: Path | None = None
) -> Inputs:
    """Read a release, results of held-out sources and comparisons of methods.

    Args:
        release: Its directory.
        folds: Folder of the results of ``python -m training folds``.
        study: A file of results of ``evaluate``, its folder, or a folder of such folders.
        transformations: File of results of ``make transformations``, of this release.

    Raises:
        BadInput: One of them is missing or not as it should be; one line.
        BadRelease: The release cannot be read.
    """
    found = load_release(release)
    _check_report(found)
    results = read_folds(folds)
    # The folds know no head: they tell what the network does by its neighbours alone.
    rule = NEIGHBOURS if found.policy.head is not None else rule_of(found.policy.temperature)
    for result in results:
        _check_fold(folds, result, rule)
    sources = [result["source"] for result in results]
    twice = sorted({source for source in sources if sources.count(source) > 1})
    if twice:
        raise BadInput(f"{folds} holds out {twice[0]} twice; remove one of the files")
    entries = () if study is None else tuple(join(_files(study)))
    shown = None if transformations is None else _shown(transformations, found)
    return Inputs(found, tuple(results), rule, entries, shown)


def rule_of(temperature: float | None) -> str:
    """Return what results of folds call the rule of scoring of a policy.

    Args:
        temperature: See ``models.policy.Policy``.

    Raises:
        BadInput: The folds are not measured by such a rule.
    """
    for name, settings in RULES.items():
        if settings.temperature == temperature:
            return name
    known = ", ".join(str(settings.temperature) for settings in RULES.values())
    raise BadInput(
        f"the release's policy has temperature {temperature}, and folds are measured with {known} "
        "only; give a release with one of these"
    )


def _check_report(release: Release) -> None:
    report = release.report
    missing = [name for name in NEEDED_OF_REPORT if name not in report]
    if report.get("format") != REPORT or missing:
        what = f"lacks {missing[0]}" if missing else f"is not of the format {REPORT}"
        raise BadInput(
            f"{release.path / 'report.json'} {what}; make the release with `python -m training "
            "release`"
        )


def _check_fold(folder: Path, result: Mapping[str, Any], rule: str) -> None:
    its = result.get("source", "a source without a name")
    remedy = "remove its file and run its fold again"
    missing = [name for name in NEEDED_OF_FOLD if name not in result]
    if missing:
        raise BadInput(f"{folder} lacks {missing[0]} of {its}; {remedy}")
    if rule not in result["rules"]:
        known = ", ".join(result["rules"]) or "none"
        raise BadInput(
            f"{folder} has no figures of {its} by the release's rule {rule!r}, only {known}; "
            f"{remedy}"
        )
    own = result["rules"][rule]
    missing = [name for name in NEEDED_OF_RULE if name not in own]
    if not missing:
        rates = [f"{rate:g}" for rate in RATES]
        missing = [
            f"recall at {rate}"
            for rate in rates
            for frames in ("whole", "with_regions")
            if rate not in own[frames]
        ]
    if missing:
        raise BadInput(f"{folder} lacks {missing[0]} of {its} by the rule {rule!r}; {remedy}")


def _shown(file: Path, release: Release) -> Mapping[str, Any]:
    remedy = "run `make transformations` again"
    try:
        found: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
        its, network = found["policy"], found["network"]
        missing = [name for name in NEEDED_OF_SHOWN if name not in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"--transformations {file} cannot be read ({error!r}); {remedy}") from None
    if missing:
        raise BadInput(f"--transformations {file} lacks {missing[0]}; {remedy}")
    if (its, network) != (release.policy.version, release.network_digest):
        raise BadInput(f"--transformations {file} is of another release; {remedy}")
    return found


def _files(study: Path) -> Sequence[Path]:
    if study.is_file() or (study / RESULTS).is_file():
        return [study]
    found = sorted(study.glob(f"*/{RESULTS}"))
    if not found:
        raise BadInput(f"--study {study} holds no {RESULTS}; give what `study` or `evaluate` wrote")
    return found
