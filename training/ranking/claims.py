"""What the paper says that its parts gain, beside what was seen here, with intervals. Pure.

A table of means lets two methods look apart that no interval parts. Here each question is one
difference, paired by split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from training.ranking.paper import method
from training.ranking.spread import Spread
from training.ranking.summary import Entry, differences, labels

TITLE = "What each part gains, paired by split (percentage points)"
COLUMNS = {
    "paper/map": "mAP, two queries a type as in the paper",
    "every/map": "mAP, every photograph asked",
    "every/recall/1": "first hit right, every photograph asked",
}
JUDGED = "paper/map"
"""The figure by which the paper's gain is said to be seen or not: it is the paper's own."""

TABLE_3 = 512
"""Dimensions of the paper's Table 3 that stand in where its tables have no mAP without PCA."""


@dataclass(frozen=True)
class Question:
    """One method taken off another.

    Args:
        better: Label of the method that is to be better.
        base: Label of the other.
        says: What is asked.
    """

    better: str
    base: str
    says: str


QUESTIONS = (
    Question("cls", "mac", "stage 1 over ImageNet's weights as they are"),
    Question("cls+double", "cls", "stage 2 over stage 1"),
    Question("double", "single", "double over single margin, one stage"),
    Question("cls+double", "triplet", "double margin over triplets, after stage 1"),
    Question("distilled", "cls+double", "distilling over the paper's best"),
    Question("distilled+neighbours", "distilled", "neighbours, over distilling alone"),
    Question("cls+double+neighbours", "cls+double", "neighbours, over the paper's best"),
    Question("distilled+neighbours", "cls+double", "both over the paper's best"),
    Question(
        "distilled+neighbours", "cls+double+neighbours", "distilling, where both have neighbours"
    ),
)


@dataclass(frozen=True)
class Answer:
    """What is known of a question.

    Args:
        question: That is answered.
        seen: Figure of ``COLUMNS`` → paired difference, in shares.
        paper: The paper's gain in percentage points; None where it has none.
    """

    question: Question
    seen: dict[str, Spread]
    paper: float | None

    @property
    def verdict(self) -> str:
        """Whether the paper's gain is seen here, as far as the interval tells; empty without one.

        ``yes``: the interval holds it and holds no 0; ``no``: it does not hold it; ``not told``:
        it holds both, or there is a single split.
        """
        if self.paper is None:
            return ""
        found = self.seen[JUDGED]
        if found.low is None or found.high is None:
            return "not told"
        if not 100 * found.low <= self.paper <= 100 * found.high:
            return "no"
        return "not told" if found.low <= 0 <= found.high else "yes"


def answers(entries: Sequence[Entry]) -> list[Answer]:
    """Return the questions whose two methods were measured on a common split.

    Args:
        entries: See ``training.ranking.summary``.
    """
    known = {_key(label): label for label in labels(entries)}
    found = []
    for question in QUESTIONS:
        if question.better in known and question.base in known:
            own = differences(entries, known[question.base]).get(known[question.better])
            if own is not None:
                seen = {name: own[name] for name in COLUMNS}
                found.append(Answer(question, seen, paper_gain(question)))
    return found


def paper_gain(question: Question) -> float | None:
    """Return the paper's own difference in percentage points; None where it gives none."""
    better, base = method(question.better), method(question.base)
    if better is None or base is None:
        return None
    if better.map is not None and base.map is not None:
        return better.map - base.map
    if TABLE_3 in better.reduced and TABLE_3 in base.reduced:
        return better.reduced[TABLE_3] - base.reduced[TABLE_3]
    return None


def _key(label: str) -> str:
    """Return the key of the paper's row of a label; the label where it has none."""
    row = method(label)
    return label if row is None else row.key
