import io
import os
import zipfile

import numpy as np
import pytest

from models.archive import load_arrays, save_arrays
from models.errors import BadRelease

ARRAYS = {
    "numbers": np.arange(12, dtype=np.float16).reshape(3, 4).T,
    "texts": np.array(["a", "ü", ""], np.str_),
    "none": np.zeros((0, 5), np.uint8),
}


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_come_back_as_they_were(tmp_path, compress) -> None:
    save_arrays(tmp_path / "a.npz", ARRAYS, compress=compress)
    again = load_arrays(tmp_path / "a.npz")
    assert again.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert again[name].dtype == array.dtype
        assert np.array_equal(again[name], array)


def test_the_same_arrays_give_the_same_bytes_at_any_time(tmp_path, monkeypatch) -> None:
    save_arrays(tmp_path / "a.npz", ARRAYS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 0, 0, 0, 0, 0, 0))
    save_arrays(tmp_path / "b.npz", dict(reversed(ARRAYS.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_an_array_of_objects_is_neither_written_nor_read(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    objects = np.array([Trap()], object)
    with pytest.raises(ValueError, match="Object arrays"):
        save_arrays(tmp_path / "a.npz", {"a": objects})
    np.savez(tmp_path / "trap.npz", a=objects)
    with pytest.raises(BadRelease):
        load_arrays(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "raw", [b"", b"not a zip", b"PK\x03\x04" + bytes(40), b"\x80\x04K\x01.", b"\x93NUMPY\x01\x00"]
)
def test_what_is_no_archive_is_one_line(tmp_path, raw) -> None:
    (tmp_path / "a.npz").write_bytes(raw)
    with pytest.raises(BadRelease, match=r"a\.npz") as caught:
        load_arrays(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_a_bare_array_is_no_archive(tmp_path) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    with pytest.raises(BadRelease):
        load_arrays(tmp_path / "a.npz", ("x",))


def test_a_missing_array_or_file_is_named(tmp_path) -> None:
    save_arrays(tmp_path / "a.npz", {"x": np.zeros(3)})
    with pytest.raises(BadRelease, match=r"lacks an array.*y"):
        load_arrays(tmp_path / "a.npz", ("x", "y"))
    with pytest.raises(BadRelease, match="does not exist"):
        load_arrays(tmp_path / "b.npz")


def test_members_carry_no_time(tmp_path) -> None:
    save_arrays(tmp_path / "a.npz", ARRAYS)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
