"""Methods trained and measured on a split, end to end on drawings."""

import json
from dataclasses import replace

import pytest

from training.data.options import read_data
from training.errors import BadInput
from training.ranking.results import RESULTS, join
from training.study import protocol
from training.study.methods import Schedule
from training.study.protocol import Study, run_study

TINY = {
    "smallest": 64,
    "largest": 64,
    "epochs": 1,
    "batch": 16,
    "workers": 1,
    "lr": 1e-4,
    "optimiser": "adamw",
}
PAIRS = {"positives_per_type": 4, "negatives_per_type": 4}
TAUGHT = {"teacher": "squeezenet1_1", "teacher_weights": "random", "teacher_size": 64}
SCHEDULE = Schedule(TINY, {**TINY, **PAIRS}, TINY, {**TINY, **TAUGHT})


def study_in(folder, **changes):
    made = Study(
        "squeezenet1_1", "random", SCHEDULE, folder / "runs", folder / "results",
        cache=folder / "cache", threads=1,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture(scope="module")
def study(pictures, study_folder, quiet):
    """One split, with stage 1 alone and with both stages."""
    made = study_in(study_folder / "protocol")
    run_study(made, reader(pictures), [3], ["cls", "cls+double"], quiet)
    return made


def reader(pictures):
    return lambda seed: read_data(
        pictures.firearms, groups=pictures.groups, harmless=pictures.harmless, split_seed=seed
    )


def results(study):
    return {file.parent.name: file.read_bytes() for file in study.results.rglob(RESULTS)}


def entry(study, name):
    return json.loads(results(study)[name])["entries"][0]


def settings(study, name):
    return json.loads((study.runs / name / "settings.json").read_text())


def test_random_weights_are_measured_without_training_too(pictures, quiet, tmp_path):
    run_study(study_in(tmp_path), reader(pictures), [3], ["mac"], quiet)
    assert set(results(study_in(tmp_path))) == {"mac-split3"}


@pytest.mark.slow
def test_each_method_has_its_results(study):
    assert set(results(study)) == {"cls-split3", "cls+double-split3"}
    # Nothing half done is left beside them.
    assert {path.name for path in study.results.iterdir()} == set(results(study))
    for label, stage in (("cls", "classify"), ("cls+double", "retrieve")):
        found = entry(study, f"{label}-split3")
        assert found["label"] == label
        assert (found["stage"], found["seed"], found["split_seed"]) == (stage, 3, 3)
        assert found["network"]["backbone"] == "squeezenet1_1"
        assert found["data"]["harmless"] == 0
    first, second = (entry(study, name) for name in sorted(results(study)))
    assert first["data"] == second["data"]
    assert first["distances"] != second["distances"]
    assert len(join([study.results / name for name in results(study)])) == 2


@pytest.mark.slow
def test_stage_2_begins_with_stage_1s_run_and_both_with_the_splits_seed(study):
    assert {folder.name for folder in study.runs.iterdir()} == set(results(study))
    assert settings(study, "cls-split3")["init"] == "random"
    assert settings(study, "cls+double-split3")["init"] == str(study.runs / "cls-split3")
    for name in results(study):
        assert settings(study, name)["seed"] == 3
        assert settings(study, name)["epochs"] == 1


@pytest.mark.slow
def test_photographs_are_not_kept_among_results(study):
    assert not list(study.results.rglob("*sheet*"))
    assert list(study.results.rglob("*.png")) + list(study.results.rglob("*.svg"))


@pytest.mark.slow
def test_what_has_its_results_is_not_run_again(study, pictures, quiet, tmp_path):
    before = results(study)
    again = replace(study, runs=tmp_path / "runs")
    run_study(again, reader(pictures), [3], ["cls", "cls+double"], quiet)
    assert results(study) == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_without_results_is_measured_and_not_trained_again(study, pictures, quiet, tmp_path):
    runs = {file: file.stat().st_mtime_ns for file in study.runs.rglob("*") if file.is_file()}
    lost = replace(study, results=tmp_path / "results")
    # What was cut short while it was measured.
    (lost.results / ".cls+double-split3.new").mkdir(parents=True)
    (lost.results / ".cls+double-split3.new" / RESULTS).write_text("{")
    run_study(lost, reader(pictures), [3], ["cls+double"], quiet)
    assert set(results(lost)) == {"cls+double-split3"}
    assert {path.name for path in lost.results.iterdir()} == {"cls+double-split3"}
    found, before = entry(lost, "cls+double-split3"), entry(study, "cls+double-split3")
    # The number of threads may round embeddings otherwise, in the eighth digit.
    for name, protocol_ in before["protocols"].items():
        again = found["protocols"][name]["whole"]["map"]
        assert again == pytest.approx(protocol_["whole"]["map"], abs=1e-3)
    for pairs in ("same", "other"):
        mean = before["distances"][pairs]["mean"]
        assert found["distances"][pairs]["mean"] == pytest.approx(mean, abs=1e-5)
    after = {file: file.stat().st_mtime_ns for file in study.runs.rglob("*") if file.is_file()}
    assert after == runs


def test_an_unknown_label_is_told_before_anything_is_read(tmp_path, quiet):
    def never(seed):
        pytest.fail(f"split {seed} was read")

    with pytest.raises(BadInput) as found:
        run_study(study_in(tmp_path), never, [0], ["cls", "clsdouble"], quiet)
    assert str(found.value).startswith("method 'clsdouble' is unknown; choose from mac, spoc, gem")
    assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


def test_no_labels_are_all_methods(tmp_path, quiet, monkeypatch):
    asked = []
    monkeypatch.setattr(protocol, "_trained", lambda _study, label, *_: asked.append(label))
    monkeypatch.setattr(protocol, "OffTheShelf", lambda *_: asked.append("off the shelf"))
    monkeypatch.setattr(protocol, "_measure", lambda *_: None)
    run_study(study_in(tmp_path), lambda _: None, [0], [], quiet)
    assert asked == ["off the shelf"] * 3 + [
        "single", "double", "cls", "cls+single", "cls+double", "triplet", "multi-similarity",
        "distilled", "cls+double+neighbours", "distilled+neighbours",
    ]  # fmt: skip
