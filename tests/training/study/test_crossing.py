"""Sources held out in turn, end to end on drawings: what is learnt, described and written."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.pixels import prepare
from models.types import Types
from training.__main__ import main
from training.errors import BadInput
from training.material import rounded
from training.stages.trained import load_trained
from training.study import sources
from training.study.crossing import Crossing, run_folds
from training.study.described import describe_all
from training.study.foldtable import TABLE, read_folds
from training.study.sources import folds
from training.study.verdicts import RULES
from training.tuning.plan import held_out

pytestmark = pytest.mark.slow

PARTS = 4


def families(pictures):
    """Let the last word of a type's name be its family."""
    names = [folder.name for folder in pictures.firearms.iterdir()]
    return Types({name: (name.split("+")[-1], name) for name in names})


@pytest.fixture(scope="module")
def planned(pictures):
    return folds(
        pictures.photos(), least=12, parts=PARTS, related=[("drawn/indoors", "drawn/outdoors")]
    )


@pytest.fixture(scope="module")
def crossing(pictures, short, study_folder, planned, quiet):
    """Two folds that were run, the second with a source that is held out beside its own."""
    made = Crossing(
        pictures.photos(), families(pictures), short(),
        study_folder / "fold-runs", study_folder / "fold-results",
    )  # fmt: skip
    run_folds(made, chosen(planned), quiet)
    return made


def chosen(planned):
    by_source = {fold.source: fold for fold in planned}
    return [by_source["drawn/catalogue"], by_source["drawn/indoors"]]


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def settings_of(crossing, fold):
    return replace(crossing.settings, hold_out=fold.together, hold_out_harmless=fold.harmless)


def described(crossing, fold, quiet):
    run = crossing.runs / fold.source.replace("/", "_")
    settings = settings_of(crossing, fold)
    return run, describe_all(crossing.photos, crossing.types, settings, run, quiet)


def test_each_fold_has_a_file_of_results(crossing, planned):
    assert sorted(contents(crossing.results)) == ["drawn_catalogue.json", "drawn_indoors.json"]
    found = {result["source"]: result for result in read_folds(crossing.results)}
    for fold in chosen(planned):
        result = found[fold.source]
        left = held_out(crossing.photos, settings_of(crossing, fold))
        asked = [crossing.photos[place] for place in sources.tested(crossing.photos, fold)]
        assert result["together"] == list(fold.together)
        assert result["harmless_sources"] == list(fold.harmless)
        assert result["prototypes"] == (~left).sum()
        assert result["run"]["held_out"] == left.sum()
        assert result["firearms"] == sum(photo.firearm for photo in asked) == 12
        assert result["harmless"] == sum(not photo.firearm for photo in asked)
        assert set(result["rules"]) == set(RULES)
        for rule in result["rules"].values():
            assert len(rule["evidence"]["firearms"]) == 12
            assert len(rule["evidence"]["harmless"]) == result["harmless"]
            assert rule["types"]["typed"] == rule["types"]["known"] == 12
    assert found["drawn/indoors"]["together"] == ["drawn/indoors", "drawn/outdoors"]


def test_results_name_no_place_of_the_machine(crossing, study_folder):
    for content in contents(crossing.results).values():
        assert str(study_folder).encode() not in content
        assert not {"cache", "weights", "workers", "threads"} & set(json.loads(content)["settings"])


def test_runs_share_the_maps(crossing):
    asked = [json.loads(file.read_text()) for file in crossing.runs.glob("*/settings.json")]
    assert len(asked) == 2
    assert len({each["maps"] for each in asked}) == 1


def test_the_evidence_is_the_nearest_firearm_that_was_learnt(crossing, planned, quiet):
    """By plain products of what the network says of the photographs."""
    for fold in chosen(planned):
        _, rows = described(crossing, fold, quiet)
        file = crossing.results / f"{fold.source.replace('/', '_')}.json"
        rule = json.loads(file.read_text())["rules"]["nearest"]
        left = held_out(crossing.photos, settings_of(crossing, fold))
        known = rounded(np.stack([rows[n][0] for n in np.flatnonzero(~left)])).astype(np.float64)
        gun = np.array([p.firearm for p, out in zip(crossing.photos, left, strict=True) if not out])
        for name, firearm in (("firearms", True), ("harmless", False)):
            expected = []
            for place in sources.tested(crossing.photos, fold):
                if crossing.photos[place].firearm != firearm:
                    continue
                near = []
                for row in rounded(rows[place]).astype(np.float64):
                    similarity = known @ row
                    first = np.argsort(-similarity)[:30]
                    near.append(max([similarity[n] for n in first if gun[n]], default=-1.0))
                margin = rule["region_margin"]
                expected.append(max(near[0], max(near[1:]) - margin))
            assert rule["evidence"][name] == pytest.approx(expected, abs=2e-3)


def test_described_as_the_network_itself_describes(crossing, planned, quiet):
    run, rows = described(crossing, chosen(planned)[0], quiet)
    assert sorted(rows) == list(range(len(crossing.photos)))
    network = load_trained(run)
    pixels = []
    for photo in crossing.photos:
        with Image.open(photo.path) as image:
            pixels.append(prepare(image.convert("RGB"), network.spec.input))
    expected = network.describe_pixels(np.stack(pixels))
    found = np.stack([rows[place] for place in range(len(rows))])
    assert found.shape == expected.shape
    assert found.shape[1] == 1 + network.region_count(64, 64) > 1
    assert np.abs(found - expected).max() < 2e-2
    assert np.abs(np.linalg.norm(found, axis=2) - 1).max() < 1e-3
    # Photographs differ by more than that.
    assert np.abs(found[0] - expected[1:]).max(axis=(1, 2)).min() > 2e-2


def test_a_network_of_other_settings_is_not_described(crossing, planned, quiet):
    fold = chosen(planned)[0]
    settings = replace(settings_of(crossing, fold), gem_power=2.0)
    run = crossing.runs / "drawn_catalogue"
    with pytest.raises(BadInput, match="network of other settings; tune it anew"):
        describe_all(crossing.photos, crossing.types, settings, run, quiet)


def test_what_has_its_results_is_not_run_again(crossing, planned, quiet, tmp_path):
    before = contents(crossing.results)
    again = replace(crossing, runs=tmp_path / "runs", settings=replace(crossing.settings, seed=9))
    run_folds(again, chosen(planned), quiet)
    assert contents(crossing.results) == before
    assert not (tmp_path / "runs").exists()


def test_a_fold_that_lost_its_results_takes_them_from_its_run(crossing, planned, quiet, tmp_path):
    before = contents(crossing.results)
    shutil.copytree(crossing.results, tmp_path / "results")
    (tmp_path / "results" / "drawn_indoors.json").unlink()
    run_folds(replace(crossing, results=tmp_path / "results"), chosen(planned), quiet)
    assert contents(tmp_path / "results") == before


def test_the_command_runs_a_source_and_writes_the_table(pictures, short, tmp_path, capsys):
    table = families(pictures).to_json()
    (tmp_path / "types.json").write_text(json.dumps(table))
    settings = short()
    options = [
        *("--images", pictures.firearms, "--harmless", pictures.harmless),
        *("--groups", pictures.groups, "--types", tmp_path / "types.json", "--least", "12"),
        *("--only", "drawn/snapshots", "--backbone", "squeezenet1_1", "--weights", "random"),
        *("--size", "64", "--dimension", "16", "--cut", "8", "--regions", "2:1", "--views", "1"),
        *("--backgrounds", "0", "--pastes", "4", "--epochs", "1", "--batch", "16"),
        *("--warmup-steps", "2", "--precision", "float32", "--device", "cpu", "--no-tensorboard"),
        *("--cache", settings.cache, "--workers", "1", "--threads", "1"),
        *("--runs", tmp_path / "runs", "--out", tmp_path / "out"),
    ]
    assert main(["folds", *map(str, options)]) == 0
    said = capsys.readouterr().out
    assert (tmp_path / "out" / TABLE).read_text() == said
    assert said.count("| drawn/snapshots | 12 |") == len(RULES)
    assert [result["source"] for result in read_folds(tmp_path / "out")] == ["drawn/snapshots"]

    shutil.rmtree(tmp_path / "runs")
    assert main(["folds", *map(str, options)]) == 0
    assert capsys.readouterr().out == said
    assert not (tmp_path / "runs").exists()
