import pytest

from tests.training.ranking.examples import entry
from training.ranking.claims import QUESTIONS, Answer, answers, paper_gain
from training.ranking.spread import paired, spread
from training.ranking.tables import claim_section, report

SPLITS = (0, 1, 2)


@pytest.fixture(scope="module")
def entries():
    return [
        *(entry("cls", split, noise=1.6) for split in SPLITS),
        *(entry("cls+retr-d", split, noise=0.5) for split in SPLITS),
        entry("mac", 0, noise=2.0),
    ]


def question(better, base):
    return next(each for each in QUESTIONS if (each.better, each.base) == (better, base))


def whole(entries, label, protocol):
    found = [each for each in entries if each["label"] == label]
    return [each["protocols"][protocol]["whole"]["map"]["trapezoid"] for each in found]


def test_each_question_is_one_difference_paired_by_split(entries):
    found = {(a.question.better, a.question.base): a for a in answers(entries)}
    assert set(found) == {("cls", "mac"), ("cls+double", "cls")}
    for protocol in ("paper", "every"):
        own = (whole(entries, label, protocol) for label in ("cls+retr-d", "cls"))
        assert found["cls+double", "cls"].seen[f"{protocol}/map"] == paired(*own)
    assert found["cls", "mac"].seen["paper/map"].count == 1


@pytest.mark.parametrize(
    ("better", "base", "gain"),
    [
        ("cls", "mac", 34.3),
        ("cls+double", "cls", 3.0),
        ("double", "single", 12.0),
        # Of Table 3, as the others have none of the triplets.
        ("cls+double", "triplet", 0.65),
        ("distilled", "cls+double", None),
    ],
)
def test_the_papers_gain_is_of_its_own_tables(better, base, gain):
    found = paper_gain(question(better, base))
    assert found == (None if gain is None else pytest.approx(gain))


@pytest.mark.parametrize(
    ("values", "paper", "verdict"),
    [
        ([0.004, 0.005, 0.006], 3.0, "no"),
        ([0.02, 0.03, 0.04], 3.0, "yes"),
        ([-0.02, 0.03, 0.08], 3.0, "not told"),
        ([0.03], 3.0, "not told"),
        ([0.03, 0.04], None, ""),
    ],
)
def test_a_verdict_goes_no_further_than_its_interval(values, paper, verdict):
    assert Answer(QUESTIONS[0], {"paper/map": spread(values)}, paper).verdict == verdict


def test_bold_is_what_an_interval_carries(entries):
    text = claim_section(entries)
    line = next(line for line in text.splitlines() if line.startswith("| stage 2 over stage 1"))
    own = paired(*(whole(entries, label, "every") for label in ("cls+retr-d", "cls")))
    cell = f"{100 * own.mean:+.1f} ± {100 * own.half:.1f}"
    assert own.low > 0
    assert f"| **{cell}** |" in line and "| +3.0 |" in line
    single = next(line for line in text.splitlines() if line.startswith("| stage 1 over"))
    assert "**" not in single
    assert text in report(entries)
