"""Settings: what is out of range is named, and what the network takes."""

import pytest

from training.errors import BadInput
from training.tuning.settings import RANGES, TuneSettings


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_figures_out_of_range_are_named(name, low, high):
    for value in (low - 1, high + 1):
        with pytest.raises(BadInput, match=f"--{name.replace('_', '-')}"):
            TuneSettings(**{name: value})


@pytest.mark.parametrize("text", ["5", "5:", ":3", "5x4", "3:5", "0:0", "-5:4", "5:4:3"])
def test_regions_that_are_none_are_named(text):
    with pytest.raises(BadInput, match="--regions"):
        TuneSettings(regions=(text,))


def test_unknown_choices_are_named():
    with pytest.raises(BadInput, match="--precision 'float16'"):
        TuneSettings(precision="float16")
    with pytest.raises(BadInput, match="--pooling"):
        TuneSettings(pooling="median")


def test_the_network_takes_what_its_weights_were_trained_with():
    lite = TuneSettings(regions=("3:3", "5:4")).spec()
    assert lite.input.sizes == ((320, 320),)
    assert lite.input.mean == lite.input.std == (0.5, 0.5, 0.5)
    assert lite.regions == ((5, 4), (3, 3))
    assert TuneSettings(weights="imagenet").spec().input.mean == (0.485, 0.456, 0.406)
    assert TuneSettings(regions=()).spec().regions == ()
