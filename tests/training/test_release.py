"""Releases of drawings and photographs made whole, by the command that people use."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from models.policy import Policy
from models.release import load_release
from moderator.demo.drawings import draw
from moderator.rollout.sanity import flags_nearly_all
from tests.models.samples import head, written
from training.__main__ import main
from training.calibration.sanity import warn_flagging_nothing
from training.release import _compare
from training.report import SIDES
from training.summary import summary

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NETWORK = ("--backbone", "squeezenet1_1", "--size", "64")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def made(capsys, drawn, out, *options):
    folders = ("--images", drawn.images, "--lookalikes", drawn.lookalikes)
    code, _, err = run(capsys, "release", *folders, *NETWORK, "--out", out, *options)
    assert code == 0, err
    return load_release(out)


def test_a_release_of_drawings_is_whole_and_keeps_sources_apart(tmp_path, capsys, drawn):
    options = ("--groups", drawn.groups, "--threshold-source", "south", "--test-source", "west")
    release = made(capsys, drawn, tmp_path / "made", *options)

    names = sorted(path.name for path in drawn.images.iterdir())
    assert release.types.names == tuple(names)
    assert len(release.prototypes) == 7 * 4
    assert set(release.prototypes.kinds) == {"firearm", "lookalike"}
    report = release.report
    assert report["threshold_photographs"]["by_source"] == {"south": 14}
    assert report["test_photographs"]["by_source"] == {"west": 14}
    sources = report["prototypes"]["firearms"]["by_source"]
    assert sources == {"north": 6, "east": 6}
    prototypes = {name.split("/")[1] for name in release.prototypes.ids}
    assert not prototypes & set(report["threshold_photographs"]["digests"])
    assert len(report["threshold_photographs"]["digests"]) == 14
    assert set(report["figures"]) == {"threshold", "test"}
    assert any("random" in note for note in report["notes"])
    assert str(tmp_path) not in json.dumps(dict(report))


def test_its_threshold_keeps_the_false_flag_rate_on_what_set_it(tmp_path, capsys, drawn):
    release = made(capsys, drawn, tmp_path / "made", "--false-flag-rate", "0.2", "--share", "0.5",
                   "--near-miss-rate", "0.5")  # fmt: skip
    flags = release.report["figures"]["threshold"]["flags"]
    assert flags["harmless"] == 16
    assert flags["at_threshold"]["false_flags"] <= 0.2
    assert flags["at_threshold"]["false_flags_with_near_misses"] <= 0.5
    assert release.policy.near_miss >= 0
    assert any("No sources were known" in note for note in release.report["notes"])
    assert release.report["notes"][0] == SIDES


def test_its_network_finds_an_indexed_drawing_again(tmp_path, capsys, drawn):
    release = made(capsys, drawn, tmp_path / "made", "--dimension", "8", "--half-weights")
    assert release.spec.dimension == 8
    network = release.load_network("cpu")
    name = release.prototypes.types[0]
    pictures = [draw(name, seed, "indexed").resize((64, 64)) for seed in range(8)]
    rows = network.embed(np.stack([np.asarray(picture) for picture in pictures]))
    found = release.index.query(rows, 1)
    exact = [each for each in found if each.similarities[0] > 0.9999]
    indexed = release.prototypes.types.count(name)
    assert len(exact) >= indexed
    assert {each.types[0] for each in exact} >= {name}


def test_prototypes_are_chosen_and_unclear_ones_left_out(tmp_path, capsys, drawn):
    few = made(capsys, drawn, tmp_path / "few", "--per-type", "2", "--per-kind", "1")
    assert few.prototypes.kinds.count("firearm") == 6
    assert few.prototypes.kinds.count("lookalike") == 4
    everything = made(capsys, drawn, tmp_path / "all")
    clear = made(capsys, drawn, tmp_path / "clear", "--clear-margin", "0.0")
    firearms = [len([k for k in r.prototypes.kinds if k == "firearm"]) for r in (everything, clear)]
    assert 0 < firearms[1] <= firearms[0]
    assert set(clear.prototypes.ids) <= set(everything.prototypes.ids)


def test_without_lookalikes_the_threshold_follows_the_recall(tmp_path, capsys, drawn):
    arguments = ("release", "--images", drawn.images, *NETWORK, "--out", tmp_path / "made")
    code, out, err = run(capsys, *arguments, "--fallback-recall", "0.6")
    assert code == 0, err
    report = load_release(tmp_path / "made").report
    assert report["figures"]["threshold"]["flags"]["at_threshold"]["recall"] >= 0.6
    assert any("nothing harmless" in note for note in report["notes"])
    assert "none of 0 harmless" in out


def test_what_cannot_be_read_is_listed_and_left_out(tmp_path, capsys, drawn):
    images = shutil.copytree(drawn.images, tmp_path / "images")
    kind = sorted(images.iterdir())[0]
    (kind / "notes.txt").write_text("no photograph")
    arguments = ("--images", images, "--lookalikes", drawn.lookalikes, "--out", tmp_path / "made")
    code, _, err = run(capsys, "release", *arguments, *NETWORK)
    assert code == 0, err
    assert f"cannot be read: {kind.name}/notes.txt" in err
    assert len(load_release(tmp_path / "made").report["unreadable"]) == 1


def test_the_soft_rule_with_regions_keeps_its_rates_and_is_reported(tmp_path, capsys, drawn):
    release = made(
        capsys, drawn, tmp_path / "made", "--temperature", "0.1", "--region", "2:1", "--share",
        "0.5", "--false-flag-rate", "0.3", "--near-miss-rate", "0.5", "--type-thresholds",
        "--region-share", "0.5", "--prior", "0.2", "--selection", "facility", "--per-type", "2",
    )  # fmt: skip
    policy = release.policy
    assert (policy.temperature, release.spec.regions) == (0.1, ((2, 1),))
    assert policy.region_margin is not None
    assert policy.region_margin >= 0
    assert policy.least_similarity > -1
    assert policy.thresholds
    assert set(policy.thresholds) <= set(release.types.names)
    report = release.report
    figures = report["figures"]["threshold"]
    assert figures["flags"]["at_threshold"]["false_flags"] <= 0.3
    assert figures["flags"]["at_threshold"]["false_flags_with_near_misses"] <= 0.5
    assert set(figures["type_thresholds"]) == set(policy.thresholds)
    assert sum(each["firearms"] for each in figures["sources"].values()) == 12
    assert figures["types_as_served"]["queries"] == 12
    calibration = report["calibration"]
    assert calibration["prior"] == 0.2
    assert 0 <= calibration["threshold_halves"]["equal-count"]["error"] <= 1
    assert report["network"] == release.spec.to_json()


def test_a_score_is_measured_on_the_test_that_it_was_not_fitted_to(tmp_path, capsys, drawn):
    options = ("--groups", drawn.groups, "--threshold-source", "south", "--test-source", "west")
    release = made(capsys, drawn, tmp_path / "made", *options)
    report = release.report
    lines = list(summary(release))
    said = [line for line in lines if line.startswith("score: ")]
    assert len(said) == 2
    # No table names these drawings' families.
    assert [line.endswith("families are not known") for line in lines].count(True) == 2
    assert report["figures"]["test"]["types"]["family_at_1"] is None
    assert report["figures"]["test"]["types_as_served"]["family_right"] is None
    assert sorted(line.split(":")[0] for line in lines if "flagged" in line) == [
        "test photographs", "threshold photographs, which set the threshold",
    ]  # fmt: skip
    assert report["notes"][0] == SIDES and "test, where there is one" in SIDES
    tested = report["calibration"]["test"]
    assert (tested["firearms"], tested["harmless"]) == (6, 8)
    for binning in ("equal-width", "equal-count"):
        curve = tested[binning]
        gaps = [abs(s - t) for s, t in zip(curve["said"], curve["true"], strict=True)]
        error = sum(gap * share for gap, share in zip(gaps, curve["share"], strict=True))
        assert curve["error"] == pytest.approx(error)


def test_a_release_is_made_of_a_trained_network(tmp_path, capsys, drawn):
    trained = made(capsys, drawn, tmp_path / "trained", "--dimension", "8", "--region", "2:1")
    run_folder = tmp_path / "run" / "best"
    run_folder.mkdir(parents=True)
    for name in ("network.json", "weights.safetensors"):
        shutil.copy(trained.path / name, run_folder / name)
    folders = ("--images", drawn.images, "--lookalikes", drawn.lookalikes)
    arguments = ("release", *folders, "--run", tmp_path / "run")
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "same")
    assert code == 0, err
    same = load_release(tmp_path / "same")
    assert same.network_digest == trained.network_digest
    assert same.policy.region_margin is not None
    np.testing.assert_allclose(same.prototypes.embeddings, trained.prototypes.embeddings, atol=1e-3)
    assert any("was trained" in note for note in same.report["notes"])
    assert not {"backbone", "sizes"} & set(same.report["recipe"])
    assert same.report["weights"] == {"name": "run"}
    code, _, err = run(
        capsys, *arguments, "--out", tmp_path / "wider", "--size", "96x64", "--region", "none"
    )
    assert code == 0, err
    wider = load_release(tmp_path / "wider")
    assert wider.spec.input.sizes == ((96, 64),)
    assert wider.spec.regions == ()
    assert wider.spec.dimension == 8
    assert wider.policy.region_margin is None


def test_a_release_gives_way_only_when_asked_and_nothing_else_does(tmp_path, capsys, drawn):
    out = tmp_path / "made"
    first = made(capsys, drawn, out)
    arguments = ("release", "--images", drawn.images, *NETWORK, "--out", out)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "exists already" in err
    second = made(capsys, drawn, out, "--replace", "--per-type", "1")
    assert second.id != first.id
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    code, _, err = run(capsys, *arguments[:-1], precious, "--replace")
    assert code == 2
    assert "is not a release" in err
    assert (precious / "file").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "nowhere"), "nowhere is not a folder"),
        (("--images", "{images}", "--lookalikes", "nowhere"), "nowhere is not a folder"),
        (("--images", "{images}", "--backbone", "mobilnet_v2"), "did you mean mobilenet_v2"),
        (("--images", "{images}", "--weights", "absent.pth"), "absent.pth do not exist"),
        (("--images", "{images}", "--weights", "{groups}"), "groups.csv"),
        (("--images", "{images}", "--size", "big"), "--size big"),
        (("--images", "{images}", "--size", "8"), "not pairs of sides in 32"),
        (("--images", "{images}", "--per-type", "0"), "--per-type 0"),
        (("--images", "{images}", "--false-flag-rate", "1.5"), "--false-flag-rate 1.5"),
        (("--images", "{images}", "--near-miss-rate", "0.001"), "--near-miss-rate"),
        (("--images", "{images}", "--test-source", "north"), "--groups"),
        (("--images", "{images}", "--run", "nowhere"), "nowhere holds no trained network"),
        (("--images", "{images}", "--run", "x", "--pooling", "gem"), "leave out --pooling"),
        (("--images", "{images}", "--run", "x", "--backbone", "vgg16"), "leave out --backbone"),
        (("--images", "{images}", "--temperature", "hot"), "--temperature hot"),
        (("--images", "{images}", "--temperature", "2"), "temperature 2.0"),
        (("--images", "{images}", "--neighbours", "0"), "neighbours 0"),
        (("--images", "{images}", "--prior", "1"), "--prior 1.0"),
        (("--images", "{images}", "--region", "wide"), "--region wide"),
        (("--images", "{images}", "--region", "1:2"), "no stride above its side"),
        (("--images", "{images}", "--selection", "best"), "'best' is not one of"),
        (("--images", "{images}", "--groups", "absent.csv"), "absent.csv cannot be read"),
        (("--images", "{images}", "--test-sources", "absent.txt"), "absent.txt cannot be read"),
        (
            ("--images", "{images}", "--groups", "{groups}", "--test-source", "moon"),
            "no photograph is of the source 'moon'",
        ),
        (("--images", "{images}", "--types", "absent.json"), "absent.json cannot be read"),
        (("--images", "{images}", "--no-such-option"), "no such option"),
    ],
)
def test_wrong_input_ends_in_one_line(tmp_path, capsys, drawn, arguments, message):
    places = {"images": drawn.images, "groups": drawn.groups}
    filled = [argument.format(**places) for argument in arguments]
    code, _, err = run(capsys, "release", *filled, "--out", tmp_path / "made")
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("release", "python -m training release"),
        ("release --images a --out b --size big", "python -m training release"),
        ("release --images a --out b --per-kind 0", "python -m training release"),
        ("release --images a --out b --seed x", "python -m training release"),
        ("release --images a --out b --test-sources absent", "python -m training release"),
        ("starter --out b", "python -m training starter"),
        ("relase", "python -m training"),
    ],
)
def test_what_is_typed_wrong_is_told_where_to_read_on(capsys, arguments, command):
    code, out, err = run(capsys, *arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.endswith(f"; see `{command} --help`\n")
    assert len(err.splitlines()) == 1


def test_without_a_command_the_help_is_shown(capsys):
    code, _, err = run(capsys)
    assert code == 2
    assert "Commands:" in err
    assert re.search(r"^  release +Make a release", err, re.MULTILINE)


def test_a_type_with_one_photograph_is_named(tmp_path, capsys, drawn):
    images = shutil.copytree(drawn.images, tmp_path / "images")
    (images / "lonely").mkdir()
    draw("glock" if (images / "glock").exists() else sorted(images.iterdir())[0].name, 99,
         "indexed").save(images / "lonely" / "1.png")  # fmt: skip
    code, _, err = run(capsys, "release", "--images", images, "--out", tmp_path / "made")
    assert code == 2
    assert "type 'lonely' has one photograph" in err


@pytest.mark.skipif(not (SHARED / "sources.csv").exists(), reason="no photographs at hand")
def test_real_firearms_are_told_from_rooms_with_real_weights(tmp_path, capsys):
    for kind, names in {"firearms": ("ak_family", "revolver_double_action"),
                        "negatives": ("room", "food")}.items():  # fmt: skip
        for name in names:
            target = tmp_path / kind / name
            target.mkdir(parents=True)
            for path in sorted((SHARED / kind / name).glob("*.jpg"))[:16]:
                (target / path.name).symlink_to(path)
    weights = SHARED / "weights" / "mobilenet_v2_imagenet_onnxzoo_nohead.pth"
    code, _, err = run(
        capsys, "release", "--images", tmp_path / "firearms", "--lookalikes",
        tmp_path / "negatives", "--weights", weights, "--out", tmp_path / "made",
    )  # fmt: skip
    assert code == 0, err
    figures = load_release(tmp_path / "made").report["figures"]["threshold"]
    assert figures["flags"]["at_threshold"]["recall"] >= 0.5
    assert figures["flags"]["at_threshold"]["false_flags"] == 0
    assert figures["types"]["recall_at_1"] >= 0.75


def test_a_network_taken_from_a_release_of_16_bits_has_the_same_digest(tmp_path, capsys, drawn):
    first = made(capsys, drawn, tmp_path / "first", "--dimension", "8", "--half-weights")
    folders = ("--images", drawn.images, "--lookalikes", drawn.lookalikes)
    arguments = ("release", *folders, "--run", first.path)
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "again")
    assert code == 0, err
    again = load_release(tmp_path / "again")
    assert again.network_digest == first.network_digest
    assert again.report["recipe"]["half_weights"]
    assert "another one" not in err
    said = Console(file=io.StringIO(), width=400)
    _compare(replace(again, network_digest="sha256:0"), first.path, said)
    assert "the network is another one" in said.file.getvalue()
    assert "head" not in said.file.getvalue()


def test_a_head_that_is_not_taken_over_is_told_of(tmp_path):
    first = written(tmp_path / "first", head=head())
    said = Console(file=io.StringIO(), width=400)
    _compare(first, first.path, said)
    assert f"the head of {first.path} is not taken over" in said.file.getvalue()


def test_a_threshold_that_flags_nearly_everything_is_refused_unless_asked_for(
    tmp_path, capsys, drawn
):
    folders = ("--images", drawn.images, "--lookalikes", drawn.lookalikes)
    rates = ("--false-flag-rate", "0.9", "--near-miss-rate", "0.95", "--lookalike-margin", "2")
    arguments = ("release", *folders, *NETWORK, *rates, "--out", tmp_path / "made")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "flags nearly everything: " in err
    assert err.strip().splitlines()[-1].startswith("error: threshold")
    assert not (tmp_path / "made").exists()
    code, _, err = run(capsys, *arguments, "--flags-all")
    assert code == 0, err
    assert "flags nearly everything" in err
    wrong = flags_nearly_all(load_release(tmp_path / "made"))
    assert wrong is not None


def test_a_threshold_that_flags_no_firearm_is_told_of(tmp_path, capsys, drawn):
    """What is harmless shows the same things here, so that nothing tells them apart."""
    for path in sorted(drawn.images.glob("*/*")):
        copy = tmp_path / "copies" / path.parent.name / f"{path.stem}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("RGB").point(lambda value: max(0, value - 1)).save(copy)
    folders = ("--images", drawn.images, "--lookalikes", tmp_path / "copies")
    code, _, err = run(capsys, "release", *folders, *NETWORK, "--out", tmp_path / "made")
    assert code == 0, err
    flags = load_release(tmp_path / "made").report["figures"]["threshold"]["flags"]
    assert flags["at_threshold"]["recall"] <= flags["at_threshold"]["false_flags"]
    said = f"of the {flags['firearms']} firearms that it was chosen on, no larger a share"
    assert err.count(said) == 1
    arguments = ("calibrate", tmp_path / "made", *folders, "--out", tmp_path / "again")
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    again = load_release(tmp_path / "again").report["figures"]["threshold"]["flags"]
    unseen = again["at_threshold"]["recall"] <= again["at_threshold"]["false_flags"]
    assert ("no larger a share" in err) == unseen


def test_a_threshold_that_flags_some_is_not_complained_of():
    scores = {"firearms": np.array([0.9, 0.2]), "harmless": np.array([0.1] * 9 + [0.95])}
    said = Console(file=io.StringIO(), width=400)
    for threshold, expected in ((0.5, 0), (0.92, 1), (0.96, 2)):
        warn_flagging_nothing(Policy(threshold=threshold), **scores, console=said)
        assert said.file.getvalue().count("no larger a share") == expected
    assert "flags 0 of the 2 firearms" in said.file.getvalue()
    assert "(10.0%): the network does not tell them apart" in said.file.getvalue()
