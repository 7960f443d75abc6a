"""Folds by source: what is tested is never learnt, nor anything that shares its origin."""

from pathlib import Path

import numpy as np
import pytest

from training.errors import BadInput
from training.folder import Photo
from training.heads.folds import folds


def _photo(place, source, *, firearm=True, group=None):
    return Photo(
        Path(f"{place}.jpg"), "glock" if firearm else "drill", firearm, f"{place}",
        group or f"g{place}", source,
    )  # fmt: skip


def _photos():
    sources = [f"shop{n}" for n in range(30)] + ["big"] * 20
    found = [_photo(n, source) for n, source in enumerate(sources)]
    found += [_photo(100 + n, f"shop{n}", firearm=False) for n in range(30)]
    return [*found, *(_photo(200 + n, "big", firearm=False) for n in range(4))]


def test_each_photograph_of_a_small_source_and_each_harmless_one_is_tested_once():
    photos = _photos()
    dealt = folds(photos, least=10)
    small = [fold for fold in dealt if not fold.large]
    assert [fold.name for fold in dealt if fold.large] == ["big"]
    times = np.sum([fold.test for fold in small], axis=0)
    assert times.tolist() == [int(p.source != "big" or not p.firearm) for p in photos]


def test_nothing_is_learnt_of_what_is_tested():
    photos = _photos()
    photos[3] = _photo(3, "shop3", group="copy")
    photos[45] = _photo(45, "big", group="copy")
    for fold in folds(photos, related=[("shop1", "big"), ("nobody", "shop2")], least=10):
        assert not (fold.test & fold.learn).any()
        guns = {p.source for p, test in zip(photos, fold.test, strict=True) if test and p.firearm}
        learnt = [p for p, learn in zip(photos, fold.learn, strict=True) if learn]
        assert not guns & {p.source for p in learnt}
        assert not ("shop1" in guns and any(p.source == "big" for p in learnt))
        assert not ("big" in guns and any(p.source == "shop1" for p in learnt))
        tested = [p for p, test in zip(photos, fold.test, strict=True) if test]
        assert not {p.group for p in tested} & {p.group for p in learnt}
        harmless = {p.source for p in tested if not p.firearm}
        assert not harmless & {p.source for p in learnt if not p.firearm}


def test_firearms_stay_where_only_harmless_ones_of_their_source_are_tested():
    photos = _photos()
    part = next(f for f in folds(photos, least=10) if not f.large and f.test[-1])
    assert part.learn[30:50].all()


def test_says_what_is_missing():
    with pytest.raises(BadInput, match="no source"):
        folds([_photo(1, None)])
    with pytest.raises(BadInput, match="lacks firearms or harmless"):
        folds([_photo(1, "a"), _photo(2, "b", firearm=False)])
