import hashlib
import shutil

import pytest
from click.testing import CliRunner

from tests.training.data.conftest import draw, write_truth
from training.commands.firearm14k import command
from training.data import digests
from training.data.account import account
from training.data.digests import pack, unpack
from training.data.firearm14k import read_firearm14k
from training.data.leaveout import read_leave_out
from training.data.verify import copy_root, present, verify
from training.errors import BadInput

TRAINED = "train/AK+47/AK+47_0000.jpg"
FOUND = "test/database_image/Lewis+Gun_0003.jpg"
ASKED = "test/query_info/query_image/Lewis+Gun_0000.jpg"


def manifest_of(root, out):
    """Make the manifest of a copy that is whole."""
    table = out.with_suffix(".tsv")
    table.write_text(
        "".join(
            f"{name}\t{hashlib.sha256(path.read_bytes()).hexdigest()}\t{path.stat().st_size}\n"
            for name, path in present(root).items()
        )
    )
    pack(table, out)
    return out


@pytest.fixture
def shipped(miniature, tmp_path, monkeypatch):
    """Let the miniature be the published data set."""
    manifest = manifest_of(miniature, tmp_path / "manifest.npz")
    monkeypatch.setattr("training.data.verify.unpack", lambda: unpack(manifest))
    return manifest


def run(*arguments):
    return CliRunner().invoke(command, [str(one) for one in arguments])


def test_a_whole_copy_is_whole(miniature, shipped):
    steps = []
    verdict = verify(miniature, advance=steps.append)
    assert verdict.whole
    assert (verdict.missing, verdict.damaged, verdict.extra, verdict.ground_truth) == ((),) * 4
    assert verdict.expected == len(verdict.paths) == sum(steps) == 32
    assert verdict.found.distinct == 32


def test_missing_damaged_and_extra_files_are_named(miniature, shipped):
    (miniature / "train/Uzi+pistol/Uzi+pistol_0000.jpg").unlink()
    content = bytearray((miniature / TRAINED).read_bytes())
    content[-20] ^= 1
    (miniature / TRAINED).write_bytes(content)
    cut = (miniature / FOUND).read_bytes()[:-3]
    (miniature / FOUND).write_bytes(cut)
    draw(miniature / "train/AK+47/AK+47_0099.jpg", "extra")
    (miniature / "train/AK+47/.hidden").write_bytes(b"x")

    verdict = verify(miniature)

    assert not verdict.whole
    assert verdict.missing == ("train/Uzi+pistol/Uzi+pistol_0000.jpg",)
    assert dict(verdict.damaged) == {
        TRAINED: "its content is another",
        FOUND: f"it has {len(cut):,} bytes instead of {len(cut) + 3:,}",
    }
    assert verdict.extra == ("train/AK+47/AK+47_0099.jpg",)


@pytest.mark.parametrize("change", ["missing", "damaged", "extra", "ground truth"])
def test_each_fault_alone_makes_a_copy_not_whole(miniature, shipped, change):
    if change == "missing":
        (miniature / TRAINED).unlink()
    elif change == "damaged":
        (miniature / TRAINED).write_bytes(b"")
    elif change == "extra":
        draw(miniature / "train/AK+47/AK+47_0099.jpg", "extra")
    else:
        write_truth(miniature / "validation", {})
    done = run("verify", miniature)
    assert done.exit_code == 1
    assert any(line.startswith(f"{change}: ") for line in done.stdout.splitlines())


def test_a_pointer_of_git_lfs_is_told_from_other_damage(miniature, shipped):
    (miniature / TRAINED).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    ((name, why),) = verify(miniature).damaged
    assert name == TRAINED and "git lfs pull" in why


def test_a_file_that_cannot_be_read_is_damaged(miniature, shipped, monkeypatch):
    def broken(path):
        raise PermissionError(f"{path} cannot be read")

    monkeypatch.setattr("training.data.verify.file_digest", broken)
    verdict = verify(miniature)
    assert len(verdict.damaged) == 32 and verdict.damaged[0][1] == "it cannot be read"


def test_an_absent_split_is_missing_as_a_whole(miniature, shipped):
    shutil.rmtree(miniature / "test")
    verdict = verify(miniature)
    assert len(verdict.missing) == 11 and all(name.startswith("test/") for name in verdict.missing)
    assert any("ground_truth_info.json cannot be read" in line for line in verdict.ground_truth)


def test_finds_the_data_set_in_the_folder_around_it(miniature, tmp_path):
    assert copy_root(miniature) == copy_root(miniature.parent) == miniature
    (tmp_path / "other").mkdir()
    with pytest.raises(BadInput, match="holds none of train, validation and test"):
        copy_root(tmp_path / "other")


def test_long_lists_are_counted_unless_asked_for(miniature, shipped):
    shutil.rmtree(miniature / "train")
    shutil.rmtree(miniature / "test")
    verdict = verify(miniature)
    short = [line for line in account(verdict, verbose=False) if line.startswith("missing")]
    whole = [line for line in account(verdict, verbose=True) if line.startswith("missing")]
    assert len(verdict.missing) == len(whole) == 23
    assert short[:20] == whole[:20]
    assert short[20:] == ["missing: 3 more (3 in train); --verbose shows them"]


def test_the_command_says_that_a_copy_is_whole(miniature, shipped):
    done = run("verify", miniature)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "32 files expected: 32 whole, 0 missing, 0 damaged; 0 extra; ground truth right",
        "32 different files among 32: 0 are in two splits, 0 under two types, 0 are both query "
        "and in the database",
    ]


def test_duplicates_are_named_and_the_clean_list_leaves_them_out(miniature, tmp_path, monkeypatch):
    shutil.copy(miniature / TRAINED, miniature / FOUND)
    shutil.copy(miniature / ASKED, miniature / "test/database_image/Lewis+Gun_0004.jpg")
    shutil.copy(
        miniature / "train/Glock+17+pistol/Glock+17+pistol_0000.jpg",
        miniature / "train/Uzi+pistol/Uzi+pistol_0000.jpg",
    )
    manifest = manifest_of(miniature, tmp_path / "manifest.npz")
    monkeypatch.setattr("training.data.verify.unpack", lambda: unpack(manifest))
    clean = tmp_path / "clean.txt"

    done = run("verify", miniature, "--clean", clean)

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert f"in two splits: {FOUND} = {TRAINED}" in lines
    assert sum(line.startswith("under two types: ") for line in lines) == 1
    assert sum(line.startswith("query in the database: ") for line in lines) == 1
    left = read_leave_out(clean)
    assert len(left) == 5 and f"to leave out: 5, listed in {clean}" in lines
    data = read_firearm14k(miniature, leave_out=left)
    photos = (*data.train, *data.test.queries, *data.test.database)
    assert len({photo.digest for photo in photos}) == len(photos)


def test_a_list_that_cannot_be_written_is_named_before_files_are_read(miniature, monkeypatch):
    monkeypatch.setattr("training.data.verify.file_digest", lambda path: pytest.fail("was read"))
    done = run("verify", miniature, "--clean", miniature / "no/clean.txt")
    assert isinstance(done.exception, BadInput)
    assert "its folder does not exist" in str(done.exception)


def test_the_command_packs_a_manifest(miniature, tmp_path):
    manifest_of(miniature, tmp_path / "one.npz")
    done = run("pack", tmp_path / "one.tsv", "--out", tmp_path / "two.npz")
    assert done.exit_code == 0 and "32 files" in done.stdout
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert digests.SHIPPED.name == "firearm14k_digests.npz"
