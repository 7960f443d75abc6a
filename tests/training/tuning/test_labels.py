"""Partial labels and labels of windows, against slow obvious ones."""

import numpy as np
import pytest

from models.types import Types
from tests.training.tuning.samples import striped
from training.errors import BadInput
from training.folder import Photo
from training.tuning.areas import Area
from training.tuning.labels import BESIDE, classes_of, window_labels
from training.tuning.plan import Sample

FAMILIES = {
    "ak": "rifle",
    "colt": "revolver",
    "glock": "pistol",
    "pump": "shotgun",
    "uzi": "submachine gun",
    "coarse_handgun": "handgun",
    "coarse_long_gun": "long gun",
    "coarse_shotgun": "shotgun",
    "coarse_still": "handgun",
}


@pytest.fixture
def called(tmp_path):
    def make(names, kinds=("drill", "ak")):
        pairs = [(name, True) for name in names] + [(kind, False) for kind in kinds]
        return [Photo(tmp_path, name, firearm, "", "") for name, firearm in pairs]

    return make


def table(families=FAMILIES):
    return Types({name: (family, name) for name, family in families.items()})


def allowed(classes, name, *, firearm=True):
    row = classes.allowed[classes.names.index((firearm, name))]
    return {other for k, (_, other) in enumerate(classes.names) if row[k]}


def test_a_coarse_type_may_be_any_type_of_its_families(called):
    classes = classes_of(called(FAMILIES), table())
    handguns = {"colt", "glock", "coarse_handgun", "coarse_still"}
    assert allowed(classes, "coarse_handgun") == handguns
    assert allowed(classes, "coarse_still") == handguns
    assert allowed(classes, "coarse_shotgun") == {"pump", "coarse_shotgun"}
    long_guns = {"ak", "pump", "uzi", "coarse_shotgun", "coarse_long_gun"}
    assert allowed(classes, "coarse_long_gun") == long_guns
    for name in ("ak", "colt", "glock", "pump", "uzi"):
        assert allowed(classes, name) == {name}


def test_families_that_stand_for_several_can_be_given(called):
    classes = classes_of(called(FAMILIES), table(), broad={"long gun": frozenset({"rifle"})})
    assert allowed(classes, "coarse_long_gun") == {"coarse_long_gun", "ak"}
    assert allowed(classes, "coarse_handgun") == {"coarse_handgun", "coarse_still"}


def test_kinds_are_classes_of_their_own_even_with_a_types_name(called):
    photos = called(FAMILIES)
    classes = classes_of(photos, table())
    assert allowed(classes, "drill", firearm=False) == {"drill"}
    assert classes.firearm.sum() == len(FAMILIES)
    first, last = photos.index(photos[0]), len(photos) - 1
    assert classes.names[classes.of(photos, Sample("view", first, 0))] == (True, "ak")
    assert classes.names[classes.of(photos, Sample("view", last, 0))] == (False, "ak")


def test_a_background_is_harmless_of_any_kind(called):
    photos = called(FAMILIES)
    classes = classes_of(photos, table())
    k = classes.of(photos, Sample("background", 0, 0))
    assert classes.names[k] == (False, BESIDE)
    assert (classes.allowed[k] == ~classes.firearm).all()
    assert classes.names[classes.of(photos, Sample("paste", 0, 0, 9))] == (True, "ak")


def test_a_type_without_a_family_is_named_where_there_are_coarse_ones(called):
    few = {name: family for name, family in FAMILIES.items() if name != "uzi"}
    with pytest.raises(BadInput, match="uzi"):
        classes_of(called(FAMILIES), table(few))
    assert len(classes_of(called(["ak", "uzi"]), Types({})).names) == 5


def counted(window, firearms, cells=200):
    """Label a window by counting the cells of a fine grid."""
    at = (np.arange(3 * cells) + 0.5) / cells - 1

    def covers(area):
        across, down = (at > area.left) & (at < area.right), (at > area.top) & (at < area.bottom)
        return down[:, None] & across[None]

    own, touched = covers(window), False
    for firearm in firearms:
        theirs = covers(firearm)
        both = int((own & theirs).sum())
        touched = touched or both > 0
        if both >= 0.7 * theirs.sum() and both >= 0.08 * own.sum():
            return 1
    return -1 if touched else 0


def test_windows_are_labelled_as_counting_cells_says():
    chance = np.random.default_rng(0)
    seen = []
    for _ in range(60):
        firearms = []
        for _ in range(int(chance.integers(1, 3))):
            x, y, w, h = *chance.uniform(-0.2, 0.9, 2), *chance.uniform(0.05, 0.6, 2)
            # Off the grid's lines by a quarter of a cell, so that no rounding decides.
            left, top, right, bottom = ((round(v * 200) + 0.25) / 200 for v in (x, y, x + w, y + h))
            firearms.append(Area(left, top, right, bottom))
        windows = [
            Area(c / 9, r / 9, (c + s) / 9, (r + s) / 9)
            for s, c, r in ((5, 0, 0), (5, 4, 4), (3, 3, 3), (3, 0, 6), (4, 2, 1))
        ]
        found = window_labels(windows, firearms, firearm=True).tolist()
        expected = [counted(window, firearms) for window in windows]
        seen += found
        borderline = [k for k, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
        for k in borderline:
            assert near_a_limit(windows[k], firearms)
    assert {seen.count(label) > 20 for label in (-1, 0, 1)} == {True}


def near_a_limit(window, firearms):
    """Whether growing or shrinking the window by a cell of the grid changes what counting says."""
    step = 1 / 200
    grown, less = (
        Area(window.left - d, window.top - d, window.right + d, window.bottom + d)
        for d in (step, -step)
    )
    return len({counted(each, firearms) for each in (grown, window, less)}) > 1


def test_windows_of_harmless_pictures_are_harmless_and_of_unboxed_firearms_unknown():
    windows = [Area(0, 0, 0.5, 0.5), Area(0.5, 0.5, 1, 1)]
    assert window_labels(windows, (), firearm=False).tolist() == [0, 0]
    assert window_labels(windows, (), firearm=True).tolist() == [-1, -1]
    assert window_labels([], striped().firearms, firearm=True).shape == (0,)


def test_a_firearm_that_is_mostly_cut_off_is_not_shown():
    window = [Area(0, 0, 1, 1)]
    assert window_labels(window, [Area(-0.6, 0, 0.4, 0.5)], firearm=True).tolist() == [-1]
    assert window_labels(window, [Area(-0.2, 0, 0.8, 0.5)], firearm=True).tolist() == [1]
