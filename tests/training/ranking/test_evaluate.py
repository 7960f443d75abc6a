"""The whole command on drawn photographs, with a small network."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from models.network import RetrievalNetwork
from models.spec import InputSpec, NetworkSpec
from moderator.demo.drawings import draw, names
from training.commands.evaluate import command
from training.data.folders import every_image_as_query, split_folder
from training.errors import BadInput
from training.folder import dataset_digest, read_photos
from training.ranking.precision import average_precision
from training.stages.readable import used
from training.stages.run import Run

NETWORK = NetworkSpec("squeezenet1_1", "mac", 3.0, None, InputSpec(((64, 64),)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Five types of six drawings, and three harmless kinds of four."""
    base = tmp_path_factory.mktemp("evaluate")
    kinds = {"firearms": (names("firearm")[:5], 6), "harmless": (names("harmless")[:3], 4)}
    for folder, (found, count) in kinds.items():
        for name in found:
            (base / folder / name).mkdir(parents=True)
            for seed in range(count):
                picture = draw(name, seed, "indexed").resize((64, 64))
                picture.save(base / folder / name / f"{seed}.png")
    return base


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return RetrievalNetwork(NETWORK).eval()


@pytest.fixture(scope="module")
def run(folders, network):
    """A run that learnt split 1 of the drawings."""
    data = split_folder(read_photos(folders / "firearms", firearm=True), seed=1)
    found = Run(folders / "double-1")
    settings = {
        "stage": "retrieve",
        "seed": 7,
        "objective": "contrastive-double",
        "figures": [["negative_margin", 1.1]],
        "data": dataset_digest(tuple(used(data))),
    }
    found.keep(network)
    (found.folder / "settings.json").write_text(json.dumps(settings))
    return found.folder


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def call(*arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def slow_map(data, network):
    """Embed and rank one by one."""
    asked = every_image_as_query(data.test)
    rows = []
    for photo in asked.database:
        pixels = np.asarray(Image.open(photo.path).convert("RGB"))[None]
        rows.append(network.embed(pixels)[0])
    values = []
    for query in asked.queries:
        own = next(n for n, p in enumerate(asked.database) if p.path == query.path)
        others = [n for n, p in enumerate(asked.database) if p.group != query.group]
        others.sort(key=lambda n: -float(rows[own] @ rows[n]))
        marks = [asked.database[n].name == query.name for n in others]
        values.append(average_precision(np.array(marks)))
    return float(np.mean(values))


@pytest.mark.slow
def test_a_run_and_untrained_networks_are_measured_on_their_splits(folders, run, network, tmp_path):
    out = tmp_path / "out"
    result = call(
        "--data", folders / "firearms", "--harmless", folders / "harmless", "--splits", "0,1",
        "--run", f"cls+double={run}", "--backbone", "squeezenet1_1", "--pooling", "spoc",
        "--size", 64, "--sheets", 2, "--against", "spoc", "--device", "cpu", "--out", out,
    )  # fmt: skip
    assert f"3 results in {out}" in result.output
    content = json.loads((out / "evaluation.json").read_text())
    found = {(entry["label"], entry["split_seed"]): entry for entry in content["entries"]}
    # The run learnt split 1, so that split 0 may test what it knows.
    assert set(found) == {("cls+double", 1), ("spoc", 0), ("spoc", 1)}
    own = found["cls+double", 1]
    assert (own["seed"], own["margins"], own["run"]) == (7, [0.8, 1.1], "double-1")
    data = split_folder(read_photos(folders / "firearms", firearm=True), seed=1)
    measured = own["protocols"]["every"]["whole"]["map"]["trapezoid"]
    assert measured == pytest.approx(slow_map(data, network), abs=1e-4)
    assert own["data"]["test"] == len(data.test.queries) + len(data.test.database)
    assert own["flags"]["unseen"]["harmless"] == 12
    assert "68.4" in (out / "tables.md").read_text()
    sheets = sorted(path.name for path in (out / "sheets").iterdir())
    assert "cls+double-split1-seed7-worst.png" in sheets
    assert len(sheets) == 9
    joined = call("--join", out, "--out", tmp_path / "joined")
    assert "3 results" in joined.output


def test_a_run_that_knows_the_test_types_is_refused(folders, run, tmp_path):
    arguments = ("--data", folders / "firearms", "--run", run, "--out", tmp_path / "out")
    with pytest.raises(BadInput, match=r"double-1 learnt other photographs.*--trust-splits"):
        call(*arguments)


@pytest.mark.slow
def test_it_can_be_trusted_all_the_same(folders, run, tmp_path):
    result = call("--data", folders / "firearms", "--run", run, "--trust-splits",
                  "--sheets", 0, "--device", "cpu", "--out", tmp_path / "out")  # fmt: skip
    assert "1 results" in result.output
    assert not (tmp_path / "out" / "sheets").exists()


@pytest.mark.slow
def test_photographs_that_cannot_be_read_are_left_out_and_counted(folders, run, tmp_path):
    moved = tmp_path / "firearms"
    for path in (folders / "firearms").glob("*/*.png"):
        (moved / path.parent.name).mkdir(parents=True, exist_ok=True)
        (moved / path.parent.name / path.name).write_bytes(path.read_bytes())
    data = split_folder(read_photos(moved, firearm=True), seed=0)
    broken = data.test.database[0].path
    broken.write_bytes(b"no photograph")
    result = call("--data", moved, "--run", run, "--trust-splits", "--sheets", 0, "--device", "cpu",
                  "--out", tmp_path / "out")  # fmt: skip
    said = f"left out: 1 of 30 photographs cannot be read: {broken.parent.name}/{broken.name}: "
    assert said in result.stderr
    (entry,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["entries"]
    assert entry["data"]["unreadable"] == 1
    assert entry["data"]["test"] == len(data.test.queries) + len(data.test.database) - 1


@pytest.mark.slow
def test_harmless_photographs_that_cannot_be_read_are_left_out(folders, run, tmp_path):
    (tmp_path / "harmless" / "room").mkdir(parents=True)
    (tmp_path / "harmless" / "room" / "bad.jpg").write_bytes(b"no photograph")
    for path in sorted((folders / "harmless").glob("*/*.png"))[:3]:
        (tmp_path / "harmless" / "room" / f"{path.parent.name}.{path.name}").write_bytes(
            path.read_bytes()
        )
    result = call("--data", folders / "firearms", "--harmless", tmp_path / "harmless",
                  "--run", run, "--trust-splits", "--sheets", 0, "--device", "cpu",
                  "--out", tmp_path / "out")  # fmt: skip
    assert "room/bad.jpg" in result.stderr
    (entry,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["entries"]
    assert entry["data"]["harmless"] == entry["flags"]["seen"]["harmless"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "x"], "give --run or --backbone"),
        (["--data", "x", "--run", "a=gone"], "gone is no directory"),
        (["--data", "x", "--run", "{run}", "--run", "b={run}"], "named twice"),
        (["--data", "x", "--run", "{run}", "--against", "y"], "--against y is no label"),
        (["--data", "x", "--run", "{empty}"], "holds no trained network"),
        (["--data", "gone", "--run", "{run}"], "gone"),
        (["--join"], "--join needs files"),
    ],
)
def test_wrong_asks_are_told_before_anything_is_read(arguments, said, run, tmp_path):
    (tmp_path / "empty").mkdir()
    places = {"run": run, "empty": tmp_path / "empty"}
    with pytest.raises(BadInput, match=said):
        call(*(text.format(**places) for text in arguments), "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--data is missing"),
        (["--data", "x", "results"], "with --join only"),
        (["--data", "x", "--weights", "imagenet"], "needs --backbone"),
        (["--data", "x", "--run", ".", "--splits", "a"], "not numbers"),
    ],
)
def test_wrong_options_are_told_apart(arguments, said, tmp_path):
    result = call(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_help_needs_no_photographs():
    assert "--join" in call("--help").output
