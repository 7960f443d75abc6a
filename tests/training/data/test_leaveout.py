import pytest

from training.data.leaveout import read_leave_out, write_leave_out
from training.errors import BadInput


def test_what_is_written_is_read(tmp_path):
    paths = ["train/AK+47/AK+47_0001.jpg", "test/database_image/Lewis+Gun_0002.jpg"]
    write_leave_out(tmp_path / "list.txt", paths, title="copies")
    assert read_leave_out(tmp_path / "list.txt") == set(paths)


def test_comments_blanks_and_dots_before_paths_say_nothing(tmp_path):
    (tmp_path / "list.txt").write_text("# why\n\n  ./a/1.jpg  \r\nb/2.jpg\n")
    assert read_leave_out(tmp_path / "list.txt") == {"a/1.jpg", "b/2.jpg"}


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"list\.txt cannot be read"):
        read_leave_out(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"list\.txt cannot be read"):
        read_leave_out(tmp_path / "list.txt")
    with pytest.raises(BadInput, match="cannot be written"):
        write_leave_out(tmp_path / "no/list.txt", [], title="t")
