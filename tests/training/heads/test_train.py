"""Heads trained by the command that people use, on drawings and on real photographs."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.release import load_release, write_release
from tests.training.conftest import draw_folder, write_groups
from training.__main__ import main
from training.card.heads import heads
from training.card.inputs import NEIGHBOURS, Inputs
from training.card.ways import shown
from training.workfolder import LOCK

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
STARTER = Path(__file__).resolve().parents[3] / "models" / "starter"


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _sources():
    """Return a name for each of the five parts that folds deal small sources to."""
    found = {}
    for number in range(200):
        name = f"shop{number}"
        found.setdefault(int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5, name)
    return [found[part] for part in range(5)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from moderator.demo.drawings import names

    base = tmp_path_factory.mktemp("data")
    firearms, harmless = names("firearm")[:2], names("lookalike")[:2]
    paths = draw_folder(base / "firearms", firearms, range(10))
    paths += draw_folder(base / "negatives", harmless, range(10))
    sources = _sources()
    rows = {p: (f"{p.parent.name}-{p.stem}", sources[int(p.stem) % 5]) for p in paths}
    write_groups(base / "sources.csv", rows)
    table = {
        name: {"family": "gun", "display_name": name, "mechanism": f"works like {name}"}
        for name in firearms
    }
    (base / "types.json").write_text(json.dumps({"types": table}))
    return base


@pytest.fixture(scope="module")
def base(data):
    out = data / "base"
    options = ("--images", data / "firearms", "--lookalikes", data / "negatives", "--groups",
               data / "sources.csv", "--backbone", "squeezenet1_1", "--size", "64",
               "--half-weights", "--region", "2:1", "--flags-all", "--out", out)  # fmt: skip
    assert main(["release", *map(str, options)]) == 0
    return out


def _options(data, base, out, *more):
    return ("head", "--data", data, "--release", base, "--cache", data / "cache", "--types",
            data / "types.json", "--out", out, *more)  # fmt: skip


def test_a_head_is_trained_and_released_with_its_figures(data, base, tmp_path, capsys):
    out, figures = tmp_path / "head", tmp_path / "figures.json"
    code, told, err = run(
        capsys, *_options(data, base, out, "--figures", figures, "--strength", "1000")
    )
    assert code == 0, err
    made, old = load_release(out), load_release(base)
    assert made.network_digest == old.network_digest
    kinds = [each.kind for each in made.head.classes]
    assert kinds == ["firearm"] * 2 + ["lookalike"] * 2
    assert set(made.policy.head.levels) == {"mechanism", "family", "type"}
    assert made.policy.head.own is None
    assert made.load_network("cpu").classes == 4
    found = json.loads(figures.read_text())
    assert found == made.report["head"]
    assert found["untouched"]["firearms"] == 20
    assert "type right" in told
    assert made.report["prototypes"]["firearms"]["photographs"] == 20
    assert made.report["recipe"]["head"] == made.policy.head.to_json() | {
        "levels": dict(made.policy.head.levels)
    }
    few = found["untouched"]["flags"]["0.01"]["share"] < 0.5
    assert ("give more photographs" in err) == few
    card = "\n".join(heads(Inputs(made, (), NEIGHBOURS)))
    right = found["untouched"]["names"]["types"]["share"]
    assert f"| type right | 20 | {100 * right:.1f} %" in card
    assert not list(heads(Inputs(old, (), NEIGHBOURS)))
    ways = {"firearms": 1, "harmless": 1, "ways": {}}
    for its, unseen in ((made, False), (old, True)):
        text = "\n".join(shown(Inputs(its, (), NEIGHBOURS, (), ways)))
        assert ("it has not seen" in text, "its head may have learnt" in text) == (
            unseen,
            not unseen,
        )
    # It tells drawings apart that it has learnt from, though the network's weights are random.
    files = sorted((data / "firearms").glob("*/*.png"))
    from training.embedding import read

    network = made.load_network("cpu")
    rows = [network.describe_rows(read(file, made.spec.input)[None])[0, 0] for file in files]
    logits = np.stack(rows)[:, network.dimension :]
    names = [made.head.classes[place].name for place in logits.argmax(axis=1)]
    assert np.mean([name == f.parent.name for name, f in zip(names, files, strict=True)]) >= 0.8


def test_features_are_taken_from_the_cache_and_missing_parts_made_anew(
    data, base, tmp_path, capsys
):
    assert run(capsys, *_options(data, base, tmp_path / "first"))[0] == 0
    (parts,) = (data / "cache").glob("*")
    (file,) = parts.glob("*.npz")
    stamp = file.stat().st_mtime_ns
    code, _, err = run(capsys, *_options(data, base, tmp_path / "second"))
    assert code == 0
    assert "pooling" not in err
    assert file.stat().st_mtime_ns == stamp
    assert (
        load_release(tmp_path / "second").head.digest
        == load_release(tmp_path / "first").head.digest
    )
    found = load_release(tmp_path / "first").report["head"]
    near = 1.02 * min(found["losses"].values()) + 1e-3
    assert found["strength"] == min(float(c) for c, loss in found["losses"].items() if loss < near)
    # What a run leaves behind that is killed while it writes is no part, and one line of a
    # damaged part says what to do.
    left = parts / ".part-of-a-dead-process"
    left.mkdir()
    (left / LOCK).touch()
    file.write_bytes(file.read_bytes()[:100])
    code, _, err = run(capsys, *_options(data, base, tmp_path / "third"))
    assert code == 2
    assert f"{file} cannot be read" in err
    assert err.count("\n") == 1
    file.unlink()
    assert run(capsys, *_options(data, base, tmp_path / "third"))[0] == 0
    assert [each.suffix for each in parts.iterdir()] == [".npz"]


def test_sources_that_the_network_learnt_are_those_of_photographs(data, base, tmp_path, capsys):
    """A name that is mistyped would pass off figures of learnt photographs as honest ones."""
    code, _, err = run(capsys, *_options(data, base, tmp_path / "a", "--learnt", "nowhere"))
    assert (code, "--learnt nowhere: no photograph is of that source" in err) == (2, True)
    every = [word for source in _sources() for word in ("--learnt", source)]
    code, _, err = run(capsys, *_options(data, base, tmp_path / "a", "--strength", "10", *every))
    assert (code, "fewer sources as --learnt" in err) == (2, True), err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "report", [{}, {"notes": ["Sides.", "The test photographs are new.", "Labelled by eye."]}]
)
def test_a_release_with_any_report_can_be_given_a_head(data, base, tmp_path, capsys, report):
    old = load_release(base)
    bare = write_release(
        tmp_path / "bare", network=old.load_network(fold=False), prototypes=old.prototypes,
        types=old.types, policy=old.policy, report=report, created="2026-01-02", git_commit=None,
        dataset_digest=None, half_weights=True,
    )  # fmt: skip
    code, _, err = run(capsys, *_options(data, bare.path, tmp_path / "a", "--strength", "10"))
    assert code == 0, err
    # The head has learnt from all photographs.
    assert load_release(tmp_path / "a").report["notes"][1:] == (
        ["Labelled by eye."] if report else []
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [("strength", ("nan", "inf", "0", "-1", "2000000")), ("evenness", ("nan", "-0.1", "1.1")),
     ("figures", ("{out}",))],
)  # fmt: skip
def test_figures_out_of_range_are_refused_before_any_work(tmp_path, capsys, name, values):
    for value in values:
        given = value.format(out=tmp_path)
        code, _, err = run(
            capsys, *_options(tmp_path, "no release", tmp_path / "a", f"--{name}", given)
        )
        assert (code, f"--{name} {given}" in err) == (2, True), err


def test_an_empty_part_of_the_cache_is_one_line(data, base, tmp_path, capsys):
    cache = tmp_path / "cache"
    part = cache / load_release(base).network_digest.removeprefix("sha256:")[:16] / "a.npz"
    part.parent.mkdir(parents=True)
    part.touch()
    code, _, err = run(capsys, *_options(data, base, tmp_path / "a"), "--cache", cache)
    assert (code, f"{part} cannot be read" in err) == (2, True), err


def test_a_cache_that_cannot_be_written_says_one_line(data, base, tmp_path, capsys):
    blocked = tmp_path / "cache"
    blocked.write_text("a file")
    options = _options(data, base, tmp_path / "out")
    places = [blocked if option == data / "cache" else option for option in options]
    code, _, err = run(capsys, *places)
    assert code == 2
    assert f"error: --cache {blocked} cannot be written" in err.splitlines()[-1]
    assert "is a file; give another" in err
    assert "pooling" not in err


def test_unreadable_photographs_are_told_and_left_out(data, base, tmp_path, capsys):
    own = tmp_path / "data"
    shutil.copytree(data, own, ignore=shutil.ignore_patterns("base", "cache"))
    bad = next((own / "firearms").glob("*/0.png"))
    bad.write_bytes(b"no image")
    code, _, err = run(capsys, *_options(own, base, tmp_path / "out"))
    assert code == 0, err
    assert "left out: 1 of " in err
    assert f"photographs cannot be read: {bad.parent.name}/0.png" in err
    report = load_release(tmp_path / "out").report
    assert report["head"]["untouched"]["firearms"] == 19
    assert [line.split(":")[0] for line in report["unreadable"]] == [f"{bad.parent.name}/0.png"]


@pytest.mark.slow
def test_a_head_names_real_firearms_of_sources_that_it_has_not_seen(tmp_path, capsys):
    if not (SHARED / "sources.csv").is_file():
        pytest.skip(f"needs the photographs of {SHARED}")
    import csv

    data = tmp_path / "data"
    with (SHARED / "sources.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = ("glock", "revolver_double_action", "ak_family", "power_drill", "hand_tool", "people")
    kept = [r for r in rows if r["class"] in wanted and r["source_repo"].count("/")][::4]
    for row in kept:
        place = data / row["file"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(SHARED / row["file"])
    with (data / "sources.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    options = ("--data", data, "--release", STARTER, "--cache", tmp_path / "cache")
    code, _, err = run(capsys, "head", *options, "--out", tmp_path / "out")
    assert code == 0, err
    names = load_release(tmp_path / "out").report["head"]["untouched"]["names"]
    assert names["types"]["n"] >= 10
    assert names["mechanism"]["share"] > 0.8
