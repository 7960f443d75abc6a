"""Results of folds joined, against sums by hand and loops."""

import json
import math

import numpy as np
import pytest

from tests.training.study.examples import RATES, result, verdict
from training.errors import BadInput
from training.study.foldtable import SUMMARY, TABLE, read_folds, summarise, write_table
from training.threshold import calibrate


def write(folder, *results):
    for place, content in enumerate(results):
        (folder / f"{place}.json").write_text(json.dumps(content))


def test_means_and_the_worst_of_recalls():
    results = [
        result("a", 9, soft=verdict((0.1, 0.5, 0.9), (0.2, 0.6, 0.8))),
        result("b", 5, soft=verdict((0.3, 0.4, 0.5), (0.4, 0.1, 0.9))),
        result("c", 2, soft=verdict((0.2, 0.9, 0.4), (0.3, 0.5, 0.7))),
    ]
    found = summarise(results, "soft")
    assert found["folds"] == 3
    assert found["whole recall at 0.001"] == {"mean": 0.2, "worst": 0.1}
    assert found["whole recall at 0.01"] == {"mean": 0.6, "worst": 0.4}
    assert found["whole recall at 0.05"] == {"mean": 0.6, "worst": 0.4}
    assert found["with_regions recall at 0.01"] == {"mean": 0.4, "worst": 0.1}
    assert found["with_regions recall at 0.05"] == {"mean": 0.8, "worst": 0.7}


def test_lookalikes_and_small_firearms_are_counted_over_all_folds():
    results = [
        result("a", 9, soft=verdict(lookalikes=(10, 2, 3), small=(20, 5, 8))),
        result("b", 5, soft=verdict(lookalikes=(30, 4, 1), small=(0, 0, 0))),
    ]
    found = summarise(results, "soft")
    assert found["whole look-alikes flagged"] == {"of": 40, "share": 0.15}
    assert found["with_regions look-alikes flagged"] == {"of": 40, "share": 0.1}
    assert found["whole small firearms"] == {"of": 20, "share": 0.25}
    assert found["with_regions small firearms"] == {"of": 20, "share": 0.4}


def test_what_is_nowhere_has_no_share():
    none = verdict(lookalikes=(0, 0, 0), small=(0, 0, 0), types=(10, 5, 5, 5, 5))
    found = summarise([result("a", 9, soft=none)], "soft")
    assert found["whole look-alikes flagged"] == {"of": 0, "share": None}
    assert found["whole small firearms"] == {"of": 0, "share": None}
    assert found["types right"] is None
    assert found["types sources"] == 0
    # One fold has no others to take a threshold from.
    assert "other folds' threshold and score" not in found


def test_sources_with_few_models_do_not_count_for_types():
    results = [
        result("a", 9, soft=verdict(types=(200, 80, 120, 100, 70))),
        result("b", 8, soft=verdict(types=(150, 90, 120, 0, 0))),
        result("c", 7, soft=verdict(types=(149, 149, 149, 149, 149))),
    ]
    found = summarise(results, "soft")
    assert found["types sources"] == 2
    assert found["types right"] == 0.5
    assert found["types family_right"] == 0.7
    # Of known types there are none in the second.
    assert found["types known_right"] == 0.7


def test_families_that_are_not_known_have_no_share():
    types = (200, 80, 0, 100, 70)
    known = [result("a", 9, soft=verdict(types=types)), result("b", 8, soft=verdict())]
    known[0]["rules"]["soft"]["types"]["family_known"] = 0
    assert summarise(known, "soft")["types family_right"] == 0.6
    assert summarise(known[:1], "soft")["types family_right"] is None


def crossed(folds):
    """Return what other folds' thresholds and scores do, by loops; folds are firearms and rest."""
    recalls, rates, errors, pooled = [], [], [], []
    for place, (guns, rest) in enumerate(folds):
        others = [fold for n, fold in enumerate(folds) if n != place]
        other_guns = [s for fold in others for s in fold[0]]
        other_rest = sorted((s for fold in others for s in fold[1]), reverse=True)
        allowed = len(other_rest) // 100
        cut = (other_rest[allowed - 1] + other_rest[allowed]) / 2
        recalls.append(sum(s >= cut for s in guns) / len(guns))
        rates.append(sum(s >= cut for s in rest) / len(rest))
        fit = calibrate(np.array(other_guns), np.array(other_rest), 0.0)
        said = [(chance(fit, s), True, 0.5 / len(guns)) for s in guns]
        said += [(chance(fit, s), False, 0.5 / len(rest)) for s in rest]
        errors.append(calibration_error(said))
        pooled += said
    return recalls, rates, errors, calibration_error(pooled)


def chance(fit, score):
    return 1 / (1 + math.exp(-(fit.slope * score + fit.offset)))


def calibration_error(said):
    total, error = sum(weight for *_, weight in said), 0.0
    for bin_ in range(15):
        own = [row for row in said if min(14, int(row[0] * 15)) == bin_]
        if own:
            error += abs(sum(w * (s - truth) for s, truth, w in own)) / total
    return error


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_and_scores_of_other_folds_against_a_loop(seed):
    draws = np.random.default_rng(seed)
    folds = [
        (draws.normal(0.3 + 0.1 * n, 0.3, 80 + 31 * n).tolist(),
         draws.normal(-0.2 + 0.05 * n, 0.2, 110 + 57 * n).tolist())
        for n in range(4)
    ]  # fmt: skip
    results = [
        result(str(n), 9, soft=verdict(guns=guns, rest=rest))
        for n, (guns, rest) in enumerate(folds)
    ]
    found = summarise(results, "soft")["other folds' threshold and score"]
    recalls, rates, errors, pooled = crossed(folds)
    assert found["recall"]["mean"] == pytest.approx(np.mean(recalls), abs=1e-4)
    assert found["recall"]["worst"] == pytest.approx(min(recalls), abs=1e-4)
    assert found["false_flags"]["mean"] == pytest.approx(np.mean(rates), abs=1e-4)
    assert found["false_flags"]["worst"] == pytest.approx(max(rates), abs=1e-4)
    assert found["calibration_error"]["mean_of_folds"] == pytest.approx(np.mean(errors), abs=2e-4)
    assert found["calibration_error"]["pooled"] == pytest.approx(pooled, abs=2e-4)
    assert max(rates) > 0.01 > min(rates)


def test_the_table_has_a_row_of_each_source_under_each_rule(tmp_path):
    write(
        tmp_path,
        result("small", 5, soft=verdict((0.111, 0.222, 0.333)), nearest=verdict()),
        result("large", 90, soft=verdict(types=(0, 0, 0, 0, 0)), nearest=verdict()),
    )
    lines = write_table(tmp_path)
    assert (tmp_path / TABLE).read_text() == "\n".join(lines) + "\n"
    assert [line for line in lines if line.startswith("##")] == [
        "## Rule: soft",
        "## Rule: nearest",
    ]
    rows = [
        line.strip("| ").split(" | ") for line in lines if line.startswith(("| small", "| large"))
    ]
    assert [row[0] for row in rows] == ["large", "small"] * 2
    assert rows[1] == [
        "small", "5", "3", "0.111", "0.222", "0.333", "0.300", "0.400 of 200", "0.700 of 100",
        "0.200 of 10", "5, 8 of 20",
    ]  # fmt: skip
    assert rows[0][7:9] == ["none", "none"]
    heads = [line for line in lines if line.startswith("| held out")]
    assert len(heads[0].strip("| ").split(" | ")) == len(rows[0])
    summaries = json.loads((tmp_path / SUMMARY).read_text())
    results = read_folds(tmp_path)
    assert summaries == {rule: summarise(results, rule) for rule in ("soft", "nearest")}
    for rate in RATES:
        assert any(line.startswith(f"- whole recall at {rate}: mean") for line in lines)


def test_a_second_table_does_not_read_the_first(tmp_path):
    write(tmp_path, result("a", 5, soft=verdict()), result("b", 6, soft=verdict()))
    assert write_table(tmp_path) == write_table(tmp_path)


def refused(folder):
    with pytest.raises(BadInput) as found:
        write_table(folder)
    assert "\n" not in str(found.value)
    assert not (folder / TABLE).exists()
    return str(found.value)


def test_a_folder_without_results_is_told(tmp_path):
    assert "holds no results of folds; run some" in refused(tmp_path)
    assert "holds no results of folds" in refused(tmp_path / "none")
    (tmp_path / "other.json").write_text('{"format": "evaluation/1"}')
    (tmp_path / "list.json").write_text("[1, 2]")
    assert "holds no results of folds" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"format": "fold/1",\n', b"\xff\xfe\x00{"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    write(tmp_path, result("a", 5, soft=verdict()))
    (tmp_path / "broken.json").write_bytes(content)
    told = refused(tmp_path)
    assert str(tmp_path / "broken.json") in told
    assert "remove it and run again" in told


@pytest.mark.parametrize("name", ["source", "firearms", "harmless", "rules"])
def test_a_result_without_a_part_is_named(tmp_path, name):
    content = result("a", 5, soft=verdict())
    del content[name]
    write(tmp_path, content)
    assert f"0.json lacks {name} of a result; remove it and run again" in refused(tmp_path)


def test_results_by_other_rules_are_named(tmp_path):
    write(tmp_path, result("a", 5, soft=verdict()), result("b", 4, nearest=verdict()))
    assert "1.json has other rules than 0.json" in refused(tmp_path)
