"""Whole runs: the loss falls, the network is what was trained, a run that was cut off goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.regions import Window, windows
from training.embedding import read
from training.errors import BadInput
from training.stages.trained import load_trained
from training.tuning.cut import halves
from training.tuning.fit import fit_tune
from training.tuning.loop import Loop
from training.tuning.mapstore import MapStore
from training.tuning.plan import make_plan
from training.tuning.top import Top

pytestmark = pytest.mark.slow


def lines(out):
    return [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]


def weights(out):
    return load_file(out / "best" / "weights.safetensors")


@pytest.mark.parametrize(("precision", "slack"), [("float32", 1e-4), ("bfloat16", 1e-2)])
def test_a_run_learns_and_its_network_embeds_as_it_was_trained(
    precision, slack, photos, types, short, console, tmp_path, cache
):
    settings = short(precision=precision, epochs=6)
    result = fit_tune(photos, types, settings, tmp_path / "run", console)
    losses = [line["loss"] for line in lines(tmp_path / "run")]
    assert len(losses) == 6
    assert losses[-1] < 0.8 * losses[0]
    assert result["loss"] == losses[-1]
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result

    network = load_trained(tmp_path / "run")
    assert network.spec.regions == ((2, 1),)
    folder = cache / json.loads((tmp_path / "run" / "settings.json").read_text())["maps"]
    store = MapStore(folder, 1)
    assert store.places[: len(photos)].tolist() == list(range(len(photos)))
    cells = network.map_size(64, 64)
    found = halves(network.trunk, settings.cut, (64, 64))
    whole = (Window(0, cells[0], 0, cells[1]), *windows(*cells, network.spec.regions))
    top = Top(network, found.upper, whole, cells, classes=2, scale=1, dropout=0.2).eval()
    kind = torch.bfloat16
    with torch.inference_mode(), torch.autocast("cpu", kind, enabled=precision == "bfloat16"):
        maps = torch.from_numpy(store.get(np.arange(len(photos)))).float()
        rows = top(maps).numpy()
    pixels = np.stack([read(photo.path, network.spec.input) for photo in photos])
    assert np.abs(rows - network.describe_pixels(pixels)).max() < slack


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    photos, types, short, console, tmp_path, monkeypatch
):
    settings = short()
    fit_tune(photos, types, settings, tmp_path / "whole", console)
    step, done = Loop.step, []

    def interrupted(self, places, epoch, number):
        if len(done) == 11:
            raise KeyboardInterrupt
        done.append(number)
        return step(self, places, epoch, number)

    monkeypatch.setattr(Loop, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_tune(photos, types, settings, tmp_path / "cut", console)
    monkeypatch.setattr(Loop, "step", step)
    with pytest.raises(BadInput, match="--resume"):
        fit_tune(photos, types, settings, tmp_path / "cut", console)
    with pytest.raises(BadInput, match="--lr"):
        fit_tune(photos, types, replace(settings, lr=0.5), tmp_path / "cut", console, resume=True)
    result = fit_tune(photos, types, settings, tmp_path / "cut", console, resume=True)
    whole, again = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert [line["loss"] for line in lines(tmp_path / "cut")] == [
        line["loss"] for line in lines(tmp_path / "whole")
    ]
    assert fit_tune(photos, types, settings, tmp_path / "cut", console, resume=True) == result


def test_what_is_kept_lies_between_what_a_trunk_began_with_and_what_it_learnt(
    photos, types, short, console, tmp_path
):
    kept = {}
    for share in (0.0, 0.5, 1.0):
        settings = short(epochs=1, tuned_share=share)
        fit_tune(photos, types, settings, tmp_path / str(share), console)
        kept[share] = weights(tmp_path / str(share))
    trunk = [name for name in kept[1.0] if name.startswith("trunk.")]
    moved = [name for name in trunk if not torch.equal(kept[0.0][name], kept[1.0][name])]
    assert moved
    for name in moved:
        assert torch.allclose(kept[0.5][name], (kept[0.0][name] + kept[1.0][name]) / 2, atol=1e-6)
    # The steps are the same ones: what is kept has no part in what is learnt.
    others = set(kept[1.0]) - set(trunk)
    assert others
    assert all(torch.equal(kept[share][name], kept[1.0][name]) for share in kept for name in others)


def test_runs_that_hold_out_sources_share_maps_and_leave_them_out(
    photos, types, short, console, tmp_path
):
    few = {"epochs": 1, "backgrounds": 8}
    whole = fit_tune(photos, types, short(**few), tmp_path / "whole", console)
    settings = short(**few, hold_out=("north",), hold_out_harmless=("east",))
    part = fit_tune(photos, types, settings, tmp_path / "part", console)
    asked = [tmp_path / run / "settings.json" for run in ("whole", "part")]
    assert len({json.loads(file.read_text())["maps"] for file in asked}) == 1
    assert whole["maps"] == part["maps"]
    assert whole["held_out"] == 0
    out = [p for p in photos if p.source == "north" or (p.source == "east" and not p.firearm)]
    assert part["held_out"] == len(out)
    plan = make_plan(photos, settings)
    views = [s for s in plan if s.kind == "view" and photos[s.photo] not in out]
    assert part["samples"]["view"] == len(views) < whole["samples"]["view"]
    assert part["samples"]["background"] < whole["samples"]["background"]


def test_a_dry_run_writes_nothing_and_says_what_would_be_done(
    photos, types, short, console, tmp_path
):
    settings = short(cache=str(tmp_path / "cache"), seed=9)
    plan = fit_tune(photos, types, settings, tmp_path / "run", console, dry_run=True)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()
    assert plan["pictures"] == len(make_plan(photos, settings)) == plan["maps to make"]
    assert plan["seconds per step"] > 0
    assert "pictures to learn from" in console.file.getvalue()


def test_what_cannot_be_learnt_from_is_told_before_maps_are_made(
    photos, types, short, console, tmp_path
):
    settings = short(cache=str(tmp_path / "cache"))
    firearms = [photo for photo in photos if photo.firearm]
    with pytest.raises(BadInput, match="without firearms"):
        fit_tune(firearms, types, settings, tmp_path / "run", console)
    with pytest.raises(BadInput, match="--cut 99"):
        fit_tune(photos, types, replace(settings, cut=99), tmp_path / "run", console)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    with pytest.raises(BadInput, match="no run's directory"):
        fit_tune(photos, types, settings, tmp_path / "run", console)
    assert not (tmp_path / "cache").exists()
