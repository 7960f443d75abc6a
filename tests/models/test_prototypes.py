import numpy as np
import pytest

from models.archive import save_arrays
from models.errors import BadRelease
from models.prototypes import KINDS, Prototypes
from tests.models.samples import directions, prototypes

ROWS = directions(3, 4)


def made(**changes) -> Prototypes:
    parts = {"embeddings": ROWS, "ids": ("a", "b", "c"), "types": ("x", "y", "x"), "kinds": KINDS}
    return Prototypes(**{**parts, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"embeddings": ROWS.astype(np.float64)},
        {"embeddings": ROWS[0]},
        {"embeddings": np.zeros((3, 0), np.float32)},
        {"embeddings": ROWS * 1.1},
        {"embeddings": ROWS * 0},
        {"embeddings": np.where(np.eye(3, 4) > 0, np.float32(np.nan), ROWS)},
        {"embeddings": np.where(np.eye(3, 4) > 0, np.float32(np.inf), ROWS)},
        {"ids": ("a", "b")},
        {"ids": ("a", "b", "a")},
        {"types": ("x",)},
        {"kinds": ("firearm", "firearm", "toy")},
    ],
)
def test_columns_that_do_not_fit_are_one_line(changes) -> None:
    with pytest.raises(BadRelease) as caught:
        made(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 37])
def test_a_file_gives_them_back_but_for_rounding(tmp_path, count) -> None:
    before = prototypes(directions(count, 33))
    before.save(tmp_path / "p.npz")
    after = Prototypes.load(tmp_path / "p.npz")
    assert (after.ids, after.types, after.kinds) == (before.ids, before.types, before.kinds)
    assert after.embeddings.dtype == np.float32
    assert after.dimension == 33
    assert np.allclose(after.embeddings, before.embeddings, atol=1e-3)
    assert np.allclose(np.linalg.norm(after.embeddings, axis=1), 1, atol=1e-6)


def test_the_same_ones_give_the_same_bytes(tmp_path) -> None:
    made().save(tmp_path / "a.npz")
    made().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"embeddings": np.zeros((3, 4), np.float16)},
        {"embeddings": np.full((3, 4), np.nan, np.float16)},
        {"embeddings": np.zeros(3, np.float16)},
        {"embeddings": np.zeros((3, 4), np.int8)},
        {"ids": np.array(["a", "b"])},
        {"ids": np.array("a")},
        {"kinds": np.array(["a", "b", "c"])},
    ],
)
def test_a_file_of_something_else_is_one_line(tmp_path, changes) -> None:
    good = {
        "embeddings": ROWS.astype(np.float16),
        "ids": np.array(["a", "b", "c"]),
        "types": np.array(["a", "b", "c"]),
        "kinds": np.array(KINDS),
    }
    save_arrays(tmp_path / "p.npz", {**good, **changes})
    with pytest.raises(BadRelease, match=r"p\.npz") as caught:
        Prototypes.load(tmp_path / "p.npz")
    assert "\n" not in str(caught.value)


def test_some_are_left_out_and_others_joined() -> None:
    some = made().without({"b", "nobody"})
    assert (some.ids, some.kinds) == (("a", "c"), ("firearm", "override"))
    assert np.array_equal(some.embeddings, ROWS[[0, 2]])
    joined = some.joined(prototypes(directions(2, 4, 9)))
    assert joined.ids == ("a", "c", "p00000", "p00001")
    assert len(joined) == 4
    with pytest.raises(BadRelease, match="twice"):
        joined.joined(some)
