"""A small disk is full when it is to be, and is gone afterwards."""

import pytest

from tests.chaos.disk import small_disk


def test_a_small_disk_is_filled_and_freed(tmp_path) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, 4) as disk:
        if disk is None:
            pytest.skip("this user may not mount")
        disk.fill()
        assert disk.room == 0
        with pytest.raises(OSError, match="No space"):
            (folder / "file").write_bytes(bytes(10_000))
        disk.free()
        (folder / "file").write_bytes(bytes(10_000))
    assert list(folder.iterdir()) == []
