"""Figures of names and flags, on scores whose answers are known."""

import numpy as np
import pytest

from training.heads.figures import error, flagging, kinds_flagged, naming, softmax, sureness

MECHANISMS = {"python": "revolver", "peacemaker": "revolver", "glock": "pistol"}
TYPES = ("glock", "peacemaker", "python", "other")


def test_names_types_and_adds_up_mechanisms():
    scores = np.array([
        [2.0, 1.5, 1.5, 0.0],  # a glock for the best type; two revolvers weigh more together
        [0.0, 2.0, 3.0, 1.0],
        [1.0, 2.0, 3.0, 4.0],
    ])  # fmt: skip
    truth = np.array(["peacemaker", "python", "glock"])
    found = naming(scores, TYPES, truth, np.array(["a", "b", "b"]), MECHANISMS)
    assert found["types"]["n"] == 3
    assert found["types"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["top_three"]["share"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["mechanisms"]["revolver"]["share"] == 1
    assert found["mechanisms"]["pistol"]["share"] == 0
    assert found["mechanisms_mean"] is None  # none has enough photographs


def test_intervals_are_of_sources():
    firearms = np.concatenate([np.full(50, 5.0), np.full(50, -5.0)])
    harmless = np.linspace(-1, 1, 1000)
    one = flagging(firearms, np.repeat(["good", "bad"], 50), harmless)["0.01"]
    many = flagging(firearms, np.array([f"s{n}" for n in range(100)]), harmless)["0.01"]
    assert one["share"] == many["share"] == 0.5
    assert (one["low"], one["high"]) == (0, 1)
    assert 0.3 < many["low"] < 0.5 < many["high"] < 0.7


def test_kinds_with_few_photographs_have_no_row():
    kinds = np.array(["drill"] * 40 + ["taser"] * 5)
    found = kinds_flagged(np.arange(45.0), kinds, 37.5)
    assert found == {"drill": {"n": 40, "flagged": 2}}


def test_calibrated_levels_have_no_error_and_sharper_ones_have():
    chance = np.random.default_rng(0)
    scores = chance.normal(size=(4000, 3)) * 2
    shares = softmax(scores, 1.0)
    drawn = (chance.random(4000)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    names = ("glock", "peacemaker", "python")
    truth = np.array(names)[np.minimum(drawn, 2)]
    assert error(*sureness(scores, names, truth, 1.0)) < 0.03
    assert error(*sureness(scores, names, truth, 0.3)) > 0.1
    level = np.array([MECHANISMS[name] for name in truth])
    assert error(*sureness(scores, [MECHANISMS[n] for n in names], level, 1.0)) < 0.03
