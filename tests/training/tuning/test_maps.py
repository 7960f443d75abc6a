"""Maps are what the frozen part gives for a sample's picture, however they were made."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.network import RetrievalNetwork
from training.embedding import read
from training.errors import BadInput
from training.tuning.cut import halves, weights_digest
from training.tuning.maps import Job, make_shard, maps_folder, open_maps
from training.tuning.pictures import make
from training.tuning.plan import make_plan


@pytest.fixture
def network(short):
    torch.manual_seed(0)
    return RetrievalNetwork(short().spec()).eval()


@pytest.fixture
def lower(network):
    return halves(network.trunk, 8, (64, 64)).lower


@pytest.fixture
def job(photos, short, tmp_path, lower):
    settings = short(pastes=4)
    with torch.inference_mode():
        _, channels, rows, columns = lower(torch.zeros(1, 3, 64, 64)).shape
    plan = make_plan(photos, settings)
    return Job(photos, plan, settings, tmp_path / "maps", (rows, columns, channels), shard=16)


def same(one, other):
    assert one.places.tolist() == other.places.tolist()
    assert one.firearms == other.firearms
    rows = np.arange(len(one))
    assert np.allclose(one.get(rows), other.get(rows), atol=1e-3, rtol=2e-3)


def test_maps_are_those_of_a_direct_forward(job, lower, network, console):
    store = open_maps(job, lower, console)
    assert {job.plan[p].kind for p in store.places} == {"view", "background", "paste"}
    for row, place in enumerate(store.places.tolist()):
        made = make(job.plan[place], place, job.photos, job.settings.spec().input, 0)
        with torch.inference_mode():
            images = network.normalise(torch.from_numpy(made.pixels[None]))
            expected = lower(images)[0].permute(1, 2, 0).numpy()
        assert np.allclose(store.get([row])[0], expected, atol=1e-3, rtol=2e-3)
        assert store.firearms[row] == made.firearms


def test_view_0_is_the_photograph_as_it_is_served(job):
    for place, photo in enumerate(job.photos):
        spec = job.settings.spec().input
        made = make(job.plan[place], place, job.photos, spec, 0)
        assert (made.pixels == read(photo.path, spec)).all()


def test_samples_that_cannot_be_made_have_no_row(job, lower, console):
    store = open_maps(job, lower, console)
    for place, sample in enumerate(job.plan):
        made = make(sample, place, job.photos, job.settings.spec().input, 0)
        assert (place in store.places) == (made is not None)


def test_what_was_done_before_a_kill_is_kept_and_the_rest_is_the_same(job, lower, console):
    whole = open_maps(replace(job, folder=job.folder.with_name("whole")), lower, console)
    for number in (0, 2):
        make_shard(job, lower, number)
    kept = (job.folder / "000000.npy").stat().st_mtime_ns
    # Killed between a shard's maps and its marker.
    (job.folder / "000002.json").unlink()
    assert job.missing == tuple(n for n in range(job.shards) if n != 0)
    same(open_maps(job, lower, console), whole)
    assert (job.folder / "000000.npy").stat().st_mtime_ns == kept
    assert job.missing == ()


@pytest.mark.slow
def test_several_processes_make_the_same(job, lower, console):
    whole = open_maps(replace(job, folder=job.folder.with_name("whole")), lower, console)
    many = replace(job, settings=replace(job.settings, workers=2))
    same(open_maps(many, lower, console), whole)
    assert f"of {len(job.plan)}" in console.file.getvalue()


def test_a_damaged_photograph_is_named_before_any_map_is_made(job, lower, console, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(job.photos[0].path.read_bytes()[:80])
    bad = replace(job, photos=(replace(job.photos[0], path=broken), *job.photos[1:]))
    strict = replace(bad, settings=replace(job.settings, skip_unreadable=False))
    with pytest.raises(BadInput, match=r"broken\.png.*leave out --no-skip-unreadable"):
        open_maps(strict, lower, console)
    assert not job.folder.exists()
    store = open_maps(bad, lower, console)
    assert not any(0 in job.plan[p].photos for p in store.places)
    assert console.file.getvalue().count("left out: 1 of ") == 1
    assert "broken.png" in console.file.getvalue()


def test_a_full_disk_is_told_before_any_map_is_made(job, lower, console):
    huge = replace(job, shape=(10_000, 10_000, 1000))
    with pytest.raises(BadInput, match="--cache"):
        open_maps(huge, lower, console)
    assert not job.folder.exists()


def test_maps_that_do_not_fit_into_16_bits_are_refused(job, lower):
    with torch.no_grad():
        next(lower.parameters()).mul_(1e9)
    with pytest.raises(BadInput, match="--cut"):
        make_shard(job, lower, 0)
    assert job.missing[0] == 0


def test_the_folder_is_named_by_all_that_maps_depend_on(photos, short, lower, tmp_path):
    def name(settings, weights="w"):
        return maps_folder(tmp_path, photos, make_plan(photos, settings), settings, weights).name

    base = name(short())
    assert name(short(hold_out=("north",), lr=0.1, epochs=9, dimension=8, workers=3)) == base
    others = [
        name(short(cut=7)),
        name(short(size=96)),
        name(short(views=3)),
        name(short(seed=1)),
        name(short(precision="bfloat16")),
        name(short(), weights_digest(lower)),
    ]
    assert len({base, *others}) == 7


@pytest.fixture(autouse=True)
def no_leftovers(job):
    yield
    shutil.rmtree(job.folder, ignore_errors=True)
