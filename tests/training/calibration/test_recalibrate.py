"""Releases of drawings whose policy is chosen anew, by the command that people use."""

import json
from dataclasses import replace

import pytest

from models.policy import HeadRule, Kernel
from models.release import load_release, write_release
from tests.models.samples import head
from training import __main__ as entry
from training.__main__ import main
from training.folder import read_photos


@pytest.fixture(autouse=True)
def _listed(monkeypatch):
    monkeypatch.setitem(entry.COMMANDS, "calibrate", "Choose a release's policy anew.")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def released(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("released") / "made"
    arguments = (
        "release", "--images", drawn.images, "--lookalikes", drawn.lookalikes, "--groups",
        drawn.groups, "--backbone", "squeezenet1_1", "--size", "64", "--half-weights",
        "--region", "2:1", "--temperature", "0.1", "--threshold-source", "south",
        "--test-source", "west", "--test-source", "east", "--out", out,
    )  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    return load_release(out)


def calibrate(capsys, drawn, released, out, *options):
    folders = ("--images", drawn.images, "--lookalikes", drawn.lookalikes)
    return run(
        capsys, "calibrate", released.path, *folders, "--groups", drawn.groups, "--out", out,
        *options,
    )  # fmt: skip


def test_only_the_policy_is_another(tmp_path, capsys, drawn, released):
    code, out, err = calibrate(
        capsys, drawn, released, tmp_path / "made", "--false-flag-rate", "0.2",
        "--near-miss-rate", "0.5", "--prior", "0.1", "--test-source", "west",
    )  # fmt: skip
    assert code == 0, err
    made = load_release(tmp_path / "made")
    assert made.id != released.id
    assert f"release {made.id}" in out
    for name in ("network.json", "weights.safetensors", "prototypes.npz", "types.json",
                 "selftest.npz"):  # fmt: skip
        assert (made.path / name).read_bytes() == (released.path / name).read_bytes()
    assert made.network_digest == released.network_digest
    assert made.policy.version != released.policy.version
    assert made.policy.temperature == released.policy.temperature == 0.1
    report = made.report
    assert report["policy"] == made.policy.to_json()
    assert report["prototypes"] == released.report["prototypes"]
    assert report["calibrated"]["from_release"] == released.id
    assert report["calibration"]["prior"] == 0.1
    assert set(report["figures"]) == {"threshold", "test"}
    assert report["figures"]["threshold"]["flags"]["at_threshold"]["false_flags"] <= 0.2
    assert str(tmp_path) not in json.dumps(dict(report))


def with_head(released, out, policy):
    """Write the release with a head of random weights, whose look-alike is ``drill``."""
    kept = ("prototypes", "policy", "report")
    parts = {name: getattr(released, name) for name in kept}
    own = head()
    names = {each.name: (each.name, each.name) for each in own.classes if each.kind == "firearm"}
    return write_release(
        out, **{**parts, "policy": policy}, types=released.types.with_added(names), head=own,
        network=released.load_network(fold=False), created="2026-01-02", git_commit=None,
        dataset_digest=None, half_weights=True,
    )  # fmt: skip


def test_a_head_that_is_not_judged_by_stays(tmp_path, capsys, drawn, released):
    headed = with_head(released, tmp_path / "headed", released.policy)
    code, _, err = calibrate(capsys, drawn, headed, tmp_path / "made")
    assert code == 0, err
    made = load_release(tmp_path / "made")
    assert made.rows_digest == headed.rows_digest != released.rows_digest
    assert made.types == headed.types


def test_a_policy_of_a_head_is_not_chosen_anew(tmp_path, capsys, drawn, released):
    rule = HeadRule(1.0, Kernel(40.0, 26.0))
    policy = replace(released.policy, temperature=None, head=rule)
    headed = with_head(released, tmp_path / "headed", policy)
    code, _, err = calibrate(capsys, drawn, headed, tmp_path / "made")
    assert code == 2
    assert "judges by a head" in err
    assert not (tmp_path / "made").exists()


def test_prototypes_set_no_threshold(tmp_path, capsys, drawn, released):
    code, _, err = calibrate(capsys, drawn, released, tmp_path / "made")
    assert code == 0, err
    report = load_release(tmp_path / "made").report
    used = {name.rpartition("/")[2] for name in released.prototypes.ids}
    assert not used & set(report["threshold_photographs"]["digests"])
    assert set(report["threshold_photographs"]["by_source"]) == {"south", "east", "west"}
    assert report["calibrated"]["left_out_as_prototypes"] == len(used)


def test_the_rule_may_change(tmp_path, capsys, drawn, released):
    code, _, err = calibrate(
        capsys, drawn, released, tmp_path / "made", "--temperature", "none", "--region-share", "0",
        "--neighbours", "5", "--false-flag-rate", "0.3", "--near-miss-rate", "0.4",
    )  # fmt: skip
    assert code == 0, err
    policy = load_release(tmp_path / "made").policy
    assert policy.temperature is None
    assert policy.region_margin is None
    assert policy.neighbours == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--test-source", "moon"), "no photograph is of the source 'moon'"),
        (("--test-source", "north"), "'north' are prototypes"),
        (("--false-flag-rate", "2"), "--false-flag-rate 2.0"),
        (("--temperature", "warm"), "--temperature warm is neither none"),
        (("--temperature", "7"), "temperature 7.0"),
        (("--out", "{released}"), "exists already"),
    ],
)
def test_wrong_input_ends_in_one_line(tmp_path, capsys, drawn, released, options, message):
    filled = [option.format(released=released.path) for option in options]
    code, _, err = calibrate(capsys, drawn, released, tmp_path / "made", *filled)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "made").exists()


def test_all_prototypes_are_no_photographs_to_choose_on(tmp_path, capsys, drawn, released):
    ids = {name.rpartition("/")[2] for name in released.prototypes.ids}
    folder = tmp_path / "images"
    for photo in read_photos(drawn.images, firearm=True):
        if photo.digest[:16] in ids:
            (folder / photo.name).mkdir(parents=True, exist_ok=True)
            (folder / photo.name / photo.path.name).symlink_to(photo.path)
    code, _, err = run(
        capsys, "calibrate", released.path, "--images", folder, "--out", tmp_path / "made"
    )
    assert code == 2
    assert "no firearm is left to set the threshold" in err


def test_what_is_no_release_is_named(tmp_path, capsys, drawn):
    code, _, err = run(
        capsys, "calibrate", tmp_path / "absent", "--images", drawn.images, "--out", tmp_path / "x"
    )
    assert code == 2
    assert "absent" in err
    assert len(err.strip().splitlines()) == 1
