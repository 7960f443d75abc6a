"""Model cards of small made-up releases, reports and folds, by the command that people use."""

import ast
import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest

import training.card
from models.policy import Policy
from models.release import load_release
from tests.models.samples import written
from training.__main__ import main
from training.card.inputs import rule_of
from training.errors import BadInput
from training.ranking.spread import spread
from training.report import SIDES
from training.starter import TEST_SOURCES, THRESHOLD_SOURCES
from training.study.verdicts import RULES

RATES = ("0.001", "0.01", "0.05")
SECTIONS = (
    "Model details", "Intended use", "Data", "Protocol", "Numbers", "Failure cases",
    "Ethical considerations", "Limits", "How to make it again",
)  # fmt: skip


def counted(**shares):
    """Name → (flagged, of) as a report counts them."""
    return {
        name: {"flagged": flagged, "photographs": of, "share": flagged / of}
        for name, (flagged, of) in shares.items()
    }


def side(photographs, **names):
    return {"photographs": photographs, "by_name": names, "by_source": {"a/b": photographs}}


def figures(recall):
    at = {"recall": recall, "recall_with_near_misses": 0.91, "false_flags": 0.012,
          "false_flags_with_near_misses": 0.049}  # fmt: skip
    return {
        "flags": {
            "firearms": 61,
            "harmless": 83,
            "at_threshold": at,
            "recall_at_false_flags": dict.fromkeys(RATES, 0.777),
            "firearms_flagged_by_source": counted(**{"far/away": (3, 17), "near|by": (40, 44)}),
            "firearms_flagged_by_type": counted(type0=(2, 13), type1=(30, 31), type2=(0, 2)),
            "harmless_flagged_by_source": counted(zoo=(1, 40)),
            "harmless_flagged_by_kind": counted(power_drill=(6, 19), tool=(1, 29), plant=(0, 35)),
        },
        "types": {"queries": 47, "recall_at_1": 0.531, "recall_at_5": 0.6, "family_at_1": 0.871,
                  "mean_average_precision": 0.345, "types_without_prototypes": {"odd": 3}},
        "types_as_served": {"queries": 47, "type_right": 0.489, "family_right": 0.851},
        "lookalikes": {"photographs": 48, "flagged": 0.146},
        "small_firearms": {"photographs": 9, "with_regions": {"recall": 0.667},
                           "without_regions": {"recall": 0.333}},
    }  # fmt: skip


def report(**recipe):
    return {
        "format": "report/1",
        "notes": ["A note of its maker."],
        "recipe": recipe,
        "weights": {"name": "tuned"},
        "prototypes": {"chosen_from": 4321, "firearms": side(13, type0=13),
                       "lookalikes": side(7, drill=7)},
        "threshold_photographs": side(113, type1=113),
        "test_photographs": side(144, tool=144),
        "unreadable": ["x"],
        "dropped_near_copies": 37,
        "figures": {"threshold": figures(0.654), "test": figures(0.8125)},
        "calibration": {"prior": 0.5, "threshold_halves": {"equal-width": {"error": 0.0234}},
                        "test": {"equal-width": {"error": 0.0567}}},
    }  # fmt: skip


def fold(source, recall, firearms, *, typed=200):
    chance = np.random.default_rng(firearms)
    evidence = {"firearms": chance.normal(1, 0.2, firearms).clip(-1, 1.9).tolist(),
                "harmless": chance.normal(-0.5, 0.3, 300).clip(-1, 1.9).tolist()}  # fmt: skip
    own = {
        "whole": {"0.001": recall - 0.2, "0.01": recall - 0.1, "0.05": recall - 0.05},
        "with_regions": {"0.001": recall - 0.1, "0.01": recall, "0.05": recall + 0.02},
        "lookalikes_flagged": {"whole": {"photographs": 50, "flagged": 2},
                               "with_regions": {"photographs": 50, "flagged": 3}},
        "small": {"photographs": 30, "whole": 8, "with_regions": 20},
        "types": {"typed": typed, "right": typed // 2, "family_right": typed * 3 // 4,
                  "known": typed // 2, "known_right": typed // 4},
        "evidence": evidence,
    }  # fmt: skip
    return {
        "format": "fold/1",
        "source": source,
        "together": [source],
        "harmless_sources": ["p", "q"],
        "run": {"stage": "tune", "photographs": 2222, "seconds": 77.7, "device": "cpu",
                "dataset_digest": None},
        "settings": {"backbone": "squeezenet1_1", "pooling": "gem", "dimension": 16, "epochs": 4,
                     "hold_out": [source]},
        "prototypes": 2222,
        "firearms": firearms,
        "harmless": 300,
        "rules": {name: copy.deepcopy(own) for name in RULES},
    }  # fmt: skip


def write_folds(folder, folds):
    folder.mkdir(exist_ok=True)
    for place, content in enumerate(folds):
        (folder / f"{place}.json").write_text(json.dumps(content))
    (folder / "summary.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release, and three folds whose recalls at 1 % with regions are .9, .8 and .4."""
    base = tmp_path_factory.mktemp("card")
    policy = Policy(0.3, temperature=0.1)
    release = written(base / "release", report=report(), policy=policy)
    folds = [fold("big/one", 0.9, 300), fold("mid/two", 0.8, 200), fold("bad/three", 0.4, 150)]
    return release.path, write_folds(base / "folds", folds)


def run(capsys, *arguments):
    code = main(["card", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def card(capsys, tmp_path, made, *options):
    out = tmp_path / "card.md"
    code, _, err = run(capsys, made[0], "--folds", made[1], "--out", out, *options)
    assert code == 0, err
    return out.read_text("utf-8")


def row(text, *begin):
    """The cells of the one row that begins so."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]
    found = [cells for cells in rows if tuple(cells[: len(begin)]) == begin]
    assert len(found) == 1, (begin, found)
    return found[0]


def entry(label, split, share):
    whole = {"map": {"trapezoid": share, "standard": share}, "recall": {"1": share}}
    part = {"whole": whole, "pca": {}}
    return {
        "label": label, "split_seed": split, "seed": split, "data": {"digest": "d"},
        "network": {"backbone": "squeezenet1_1"}, "protocols": {"paper": part, "every": part},
        "types": [], "distances": {}, "flags": None, "calibration": None,
    }  # fmt: skip


def write_study(folder, entries):
    folder.mkdir(parents=True)
    content = {"format": "evaluation/1", "entries": entries}
    (folder / "evaluation.json").write_text(json.dumps(content))
    return folder


def test_a_card_goes_into_the_release_which_stays_what_it_was(tmp_path, capsys, made):
    release = written(tmp_path / "release", report=report(), policy=Policy(0.3, temperature=0.1))
    code, out, err = run(capsys, release.path, "--folds", made[1])
    assert (code, err) == (0, "")
    file = release.path / "MODEL_CARD.md"
    assert out == f"model card in {file}\n"
    first = file.read_bytes()
    again = load_release(release.path)
    assert (again.id, again.network_digest) == (release.id, release.network_digest)
    again.load_network("cpu")
    assert run(capsys, release.path, "--folds", made[1])[0] == 0
    assert file.read_bytes() == first
    assert sorted(each.name for each in release.path.iterdir()) == sorted(
        [*release.manifest["files"], "manifest.json", "MODEL_CARD.md"]
    )


def test_it_has_the_usual_sections_and_names_the_release(tmp_path, capsys, made):
    text = card(capsys, tmp_path, made)
    places = [text.index(f"\n## {title}\n") for title in SECTIONS]
    assert places == sorted(places)
    release = load_release(made[0])
    assert text.startswith(f"# Model card of release {release.id}\n\n")
    assert row(text, "Digest of the network")[1] == f"`{release.network_digest}`"
    size = sum(file.stat().st_size for file in made[0].iterdir()) / 1e6
    assert row(text, "Size")[1].startswith(f"{size:.1f} MB (")
    assert row(text, "Dimension of embeddings")[1] == "16"
    assert row(text, "`epochs`")[1:] == ["4", "–"]
    assert "The release's network is of the same kind" in text
    assert "A note of its maker." in text
    assert "4321 photographs" in text and "37 photographs were dropped" in text
    assert row(text, "`type1`", "0")[1:] == ["0", "0", "113", "0"]
    assert str(tmp_path) not in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    "word", ["Punishment", "people", "Law enforcement", "real, legal, loaded", "court", "not a pho"]
)
def test_it_says_what_the_release_must_not_be_used_for(tmp_path, capsys, made, word):
    text = card(capsys, tmp_path, made)
    begin = text.index("### What it must not be used for")
    assert word in text[begin : text.index("## Data")]


def test_folds_are_told_with_mean_interval_and_worst(tmp_path, capsys, made):
    text = card(capsys, tmp_path, made)
    found = spread([0.9, 0.8, 0.4])
    assert row(text, "with regions, 1 %")[1:] == [
        f"70.0 ± {100 * found.half:.1f} %",
        f"{100 * found.deviation:.1f} %",
        "40.0 %",
        "`bad/three`",
    ]
    assert row(text, "whole photograph, 0.1 %")[1].startswith("50.0 ±")
    assert row(text, "`mid/two`", "200")[2:] == [
        "300", "60.0 %", "70.0 %", "75.0 %", "70.0 %", "80.0 %", "82.0 %",
    ]  # fmt: skip
    small = row(text, "`mid/two`", "100 of 200 (50.0 %)")
    assert small[-3:] == ["2 of 50 (4.0 %)", "8 of 30 (26.7 %)", "20 of 30 (66.7 %)"]
    assert "With regions, 2.50 times as many small firearms are flagged." in text
    assert "Type right: 50.0 ± 0.0 % on average over 3 sources" in text
    assert "`bad/three` (30.0 %)" in text
    assert re.search(r"calibration error of scores fitted .*: 0\.\d{3} of all folds", text)


def test_regions_count_where_the_release_judges_them(tmp_path, capsys, made):
    from dataclasses import replace

    from tests.models.samples import SPEC, network

    spec = replace(SPEC, regions=((2, 1),))
    policy = Policy(0.3, temperature=0.1, region_margin=0.1)
    release = written(tmp_path / "r", report=report(), policy=policy, network=network(spec))
    text = card(capsys, tmp_path, (release.path, made[1]))
    assert "The release judges: with regions." in text
    assert row(text, "`mid/two`", "100 of 200 (50.0 %)")[-3] == "3 of 50 (6.0 %)"
    assert "`bad/three` (40.0 %)" in text
    assert "`bad/three`: 20 of 30 (66.7 %) small firearms" in text


def test_the_releases_own_sides_stand_beside_each_other(tmp_path, capsys, made):
    text = card(capsys, tmp_path, made)
    assert row(text, "", "set the thresholds")[1:] == ["set the thresholds", "test"]
    assert row(text, "firearms flagged")[1:] == ["65.4 %", "81.2 %"]
    assert row(text, "type right")[1:] == ["53.1 %", "53.1 %"]
    assert row(text, "type right, as the policy names it")[1:] == ["48.9 %", "48.9 %"]
    assert row(text, "look-alikes flagged")[1:] == ["14.6 %", "14.6 %"]
    assert row(text, "small firearms flagged with regions")[1:] == ["66.7 %", "66.7 %"]
    assert row(text, "expected calibration error")[1:] == ["0.023", "0.057"]


def test_sources_and_lookalikes_of_the_releases_own_sides_have_rows(tmp_path, capsys, made):
    text = card(capsys, tmp_path, made)
    text = text[text.index("#### By source, photographs of the test") :]
    text = text[: text.index("\n## ")]
    assert row(text, "firearms, `near/by`")[1:] == ["no", "40 of 44 (90.9 %)"]
    assert row(text, "firearms, `far/away`")[1:] == ["no", "3 of 17 (17.6 %)"]
    assert text.index("`near/by`") < text.index("`far/away`"), "the largest first"
    assert row(text, "look-alikes")[1:] == ["–", "6 of 19 (31.6 %)"]
    assert row(text, "other harmless photographs")[1:] == ["–", "1 of 64 (1.6 %)"]


def test_test_sources_that_took_part_in_choices_are_named(tmp_path, capsys, made):
    clean = card(capsys, tmp_path, made)
    assert "No source of the test is in a fold" in clean and "not free of choices" not in clean
    folds = [fold("big/one", 0.9, 300), fold("mid/two", 0.8, 200)]
    folds[0]["together"] = ["big/one", "far/away"]
    folds[1]["harmless_sources"] = ["zoo"]
    text = card(capsys, tmp_path, (made[0], write_folds(tmp_path / "folds", folds)))
    assert "17 of 61 (27.9 %) of its firearms" in text and ": `far/away` (17);" in text
    assert "40 of 40 (100.0 %) of its harmless photographs" in text
    assert row(text[text.index("of the test\n") :], "firearms, `far/away`")[1] == "yes"


def test_the_note_of_an_older_report_gives_way(tmp_path, capsys, made):
    its = report()
    its["notes"] = ["recall_at_false_flags is so; at_threshold is what this release does.", "Mine."]
    release = written(tmp_path / "r", report=its, policy=Policy(0.3, temperature=0.1))
    text = card(capsys, tmp_path, (release.path, made[1]))
    assert "what this release does" not in text
    assert f"- {SIDES}\n- Mine.\n" in text


def test_failures_are_named_the_worst_first(tmp_path, capsys, made):
    text = card(capsys, tmp_path, made)
    text = text[text.index("## Failure cases") :]
    assert row(text, "`pistol`")[1:] == ["32 of 46 (69.6 %)", "14"]
    assert row(text, "`type0`")[1:] == ["`pistol`", "2 of 13 (15.4 %)", "11"]
    assert text.index("`type0`") < text.index("`type1`")
    assert "`type2`" not in text, "two photographs say nothing"
    assert text.index("| `far/away`") < text.index("| `near/by`")
    assert text.index("| `power_drill` | 6 of 19 (31.6 %) |") < text.index("| `tool`")
    assert "`plant`" not in text
    assert "`odd` (3)" in text


def test_a_release_without_a_test_side_fails_on_what_set_its_thresholds(tmp_path, capsys, made):
    lean = report(backbone="squeezenet1_1")
    del lean["figures"]["test"], lean["calibration"]
    del lean["figures"]["threshold"]["lookalikes"]
    release = written(tmp_path / "r", report=lean, policy=Policy(0.3, temperature=0.1))
    text = card(capsys, tmp_path, (release.path, made[1]))
    assert "on its threshold photographs" in text
    assert row(text, "firearms flagged")[1:] == ["65.4 %"]
    assert "look-alikes flagged |" not in text
    assert "learnt nothing of firearms" in text


def test_the_starters_photographs_are_described(tmp_path, capsys, made):
    assert "make starter" not in card(capsys, tmp_path, made)
    its = report(threshold_sources=list(THRESHOLD_SOURCES), test_sources=list(TEST_SOURCES))
    release = written(tmp_path / "r", report=its, policy=Policy(0.3, temperature=0.1))
    text = card(capsys, tmp_path, (release.path, made[1]))
    assert "make starter" in text and "not part of the project" in text
    assert row(text, "`epochs`")[1] == "4" and row(text, "`epochs`")[2].isdecimal()


def test_folds_of_another_network_are_called_so(tmp_path, capsys, made):
    other = fold("big/one", 0.9, 300)
    other["settings"]["dimension"] = 24
    other["settings"]["epochs"] = 5
    folds = write_folds(tmp_path / "folds", [other])
    text = card(capsys, tmp_path, (made[0], folds))
    assert "**The folds differ from the release in dimension (16 in the release, 24" in text
    assert row(text, "with regions, 1 %")[1:3] == ["90.0 %", "–"]
    assert "There is one fold only" in text


def test_a_study_is_told_with_intervals_and_differences(tmp_path, capsys, made):
    base = [0.4, 0.5, 0.6]
    for split, share in enumerate(base):
        write_study(tmp_path / "s" / f"double{split}", [entry("cls+double", split, share)])
        write_study(tmp_path / "s" / f"ours{split}", [entry("ours", split, share + 0.125)])
    text = card(capsys, tmp_path, made, "--study", tmp_path / "s")
    half = 100 * spread(base).half
    own = row(text, "`ours`")
    assert own[1:3] == ["3", f"62.5 ± {half:.1f} %"]
    assert own[3] == "+12.5 ± 0.0"
    assert own[-2:] == ["+12.5 ± 0.0", "–"]
    assert row(text, "`cls+double`")[-1] == "68.4 %"
    single = card(capsys, tmp_path, made, "--study", tmp_path / "s" / "ours0" / "evaluation.json")
    assert row(single, "`ours`")[1:] == ["1", "52.5 %", "–", "52.5 %", "52.5 %", "–", "–"]


def test_no_figure_is_typed_into_the_text():
    """What the card says in figures comes from its inputs, or from constants with a name."""
    folder = Path(training.card.__file__).parent
    typed = []
    for file in sorted(folder.glob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        documented = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        formats = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.FormattedValue) and node.format_spec
            for part in ast.walk(node.format_spec)
        }
        typed += [
            (file.name, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented | formats
            and re.search(r"\d", node.value)
            and node.value not in {"utf-8", "every/recall/1", "recall_at_1", "family_at_1"}
        ]
    assert typed == []


def test_rules_are_known_by_their_temperature():
    assert rule_of(None) == "nearest"
    assert rule_of(0.1) == "soft 0.1"
    with pytest.raises(BadInput, match=r"temperature 0\.3"):
        rule_of(0.3)


def without(content, *path):
    for name in path[:-1]:
        content = content[name]
    del content[path[-1]]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("source",), "lacks source"),
        (("settings",), "lacks settings of big/one"),
        (("rules", "soft 0.1"), "no figures of big/one by the release's rule 'soft 0.1'"),
        (("rules", "soft 0.1", "small"), "lacks small of big/one"),
        (("rules", "soft 0.1", "whole", "0.01"), "lacks recall at 0.01 of big/one"),
        (("rules", "soft 0.1", "types", "typed"), "KeyError('typed')"),
    ],
)
def test_a_fold_that_lacks_something_is_named_in_one_line(tmp_path, capsys, made, path, said):
    broken = fold("big/one", 0.9, 300)
    without(broken, *path)
    folds = write_folds(tmp_path / "folds", [broken])
    out = tmp_path / "card.md"
    code, _, err = run(capsys, made[0], "--folds", folds, "--out", out)
    assert code == 2 and said in err and err.count("\n") == 1
    assert not out.exists()


def test_inputs_that_cannot_be_used_are_one_line(tmp_path, capsys, made):
    twice = write_folds(tmp_path / "twice", [fold("a/b", 0.9, 200), fold("a/b", 0.9, 200)])
    bare = written(tmp_path / "bare", policy=Policy(0.3, temperature=0.1))
    odd = written(tmp_path / "odd", report=report(), policy=Policy(0.3, temperature=0.3))
    cases = [
        ((tmp_path / "none", "--folds", made[1]), "is not a release"),
        ((made[0], "--folds", tmp_path / "none"), "holds no results of folds"),
        ((made[0], "--folds", twice), "holds out a/b twice"),
        ((made[0], "--folds", made[1], "--study", twice), "holds no evaluation.json"),
        ((bare.path, "--folds", made[1]), "report.json lacks figures"),
        ((odd.path, "--folds", made[1]), "temperature 0.3"),
        ((made[0], "--folds", made[1], "--out", made[0] / "report.json"), "file of the release"),
        ((made[0], "--folds", made[1], "--out", made[0] / "manifest.json"), "file of the release"),
        ((made[0], "--folds", made[1], "--out", tmp_path / "no" / "card.md"), "cannot be written"),
        ((made[0],), "--folds"),
    ]
    for arguments, said in cases:
        code, out, err = run(capsys, *arguments)
        assert code == 2 and said in err and err.count("\n") == 1 and not out, (arguments, err)
    assert load_release(made[0]).report["format"] == "report/1"
    assert not (made[0] / "MODEL_CARD.md").exists()


# --- ways of showing


def ways_of(folder: Path, release: Path, **changes) -> Path:
    found = load_release(release)
    way = {"firearms": 0.915, "firearms_whole": 0.385, "harmless": 0.0025, "harmless_whole": 0.0,
           "firearms_views": 2.04, "harmless_views": 2.1}  # fmt: skip
    content = {"network": found.network_digest, "policy": found.policy.version, "firearms": 200,
               "harmless": 400, "ways": {"small on white": way}, **changes}  # fmt: skip
    file = folder / "ways.json"
    file.write_text(json.dumps(content))
    return file


def test_ways_of_showing_are_a_table_of_the_card(tmp_path, capsys, made):
    text = card(capsys, tmp_path, made, "--transformations", ways_of(tmp_path, made[0]))
    assert "200 photographs of firearms" in text and "400 harmless ones" in text
    cells = row(text, "small on white")[1:]
    assert [cell.strip(" |") for cell in cells] == ["91.5 %", "38.5 %", "0.2 %", "0.0 %", "2.0"]
    assert "Other ways of showing" not in card(capsys, tmp_path, made)


@pytest.mark.parametrize("changes", [{"policy": "0" * 16}, {"network": "sha256:0"}, {"ways": None}])
def test_ways_of_another_release_or_damaged_are_refused(tmp_path, capsys, made, changes):
    file = ways_of(tmp_path, made[0], **changes)
    if changes == {"ways": None}:
        file.write_text(file.read_text().replace('"ways"', '"way"'))
    code, _, err = run(capsys, made[0], "--folds", made[1], "--transformations", file)
    assert code != 0
    assert "make transformations" in err and len(err.strip().splitlines()) == 1
