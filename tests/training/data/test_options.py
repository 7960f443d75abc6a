import csv

import click
import pytest
from click.testing import CliRunner

from tests.training.data.conftest import draw
from training.data.options import data_options, read_data
from training.errors import BadInput


def types_folder(folder, counts):
    for kind, count in counts.items():
        for number in range(count):
            draw(folder / kind / f"{number}.jpg", f"{kind}{number}")
    return folder


def harmless_folder(folder):
    types_folder(folder, {"drill": 3})
    paths = sorted(folder.glob("*/*"))
    with (folder / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "dup_group", "source_repo", "role"])
        for path in paths:
            role = "borderline" if path.stem == "2" else "negative"
            writer.writerow([path.relative_to(folder), "same", "north", role])
    return folder


@pytest.fixture
def folder(tmp_path):
    return types_folder(tmp_path / "arms", dict.fromkeys("abcde", 5) | {"coarse_long_gun": 4})


def names(data):
    return {photo.name for photo in (*data.train, *data.validation.database, *data.test.database)}


def test_a_folder_of_types_is_split_without_coarse_ones(folder):
    data = read_data(folder)
    assert data.name == "arms" and names(data) == set("abcde")
    assert read_data(folder, split_seed=0) == data
    assert len({read_data(folder, split_seed=seed).train for seed in range(6)}) > 1


def test_firearms_of_no_known_type_are_read_where_asked_for(folder, miniature):
    data = read_data(folder, untyped=True)
    assert {photo.name for photo in data.untyped} == {"coarse_long_gun"}
    assert len(data.untyped) == 4
    assert names(data) == set("abcde")
    assert read_data(folder).untyped == ()
    with pytest.raises(BadInput, match="--untyped does not go with Firearm 14k"):
        read_data(miniature, untyped=True)


def test_a_copy_of_firearm_14k_keeps_its_own_split(miniature):
    data = read_data(miniature)
    assert data.name == miniature.parent.name
    assert read_data(miniature, split_seed=7) == data


def test_harmless_photographs_and_their_groups_are_read(folder, miniature, tmp_path):
    harmless = harmless_folder(tmp_path / "harmless")
    table = harmless / "groups.csv"
    for data in (folder, miniature):
        assert len(read_data(data, harmless=harmless).harmless) == 3
        kept = read_data(data, harmless=harmless, groups=table).harmless
        assert [photo.group for photo in kept] == ["same", "same"]
        assert not any(photo.firearm for photo in kept)


def test_groups_keep_near_copies_of_a_folder_together(folder):
    with (folder / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "dup_group", "source_repo"])
        writer.writerows(
            [f"{kind}/{n}.jpg", f"{kind}{n // 2}", "s"] for kind in "abcd" for n in range(5)
        )
    with pytest.raises(BadInput, match="1 types have 4 different photographs"):
        read_data(folder, groups=folder / "groups.csv")


def test_groups_of_a_copy_of_firearm_14k_need_harmless_photographs(miniature, tmp_path):
    with pytest.raises(BadInput, match="--groups is about --harmless"):
        read_data(miniature, groups=tmp_path / "groups.csv")


def test_what_a_file_names_is_left_out(folder, miniature, tmp_path):
    (tmp_path / "left.txt").write_text("a/0.jpg\ntrain/AK+47/AK+47_0000.jpg\n")
    for data, count in ((folder, 25), (miniature, 32)):
        found = read_data(data, leave_out=tmp_path / "left.txt")
        parts = (found.validation, found.test)
        held = [photo for part in parts for photo in (*part.queries, *part.database)]
        assert len(found.train) + len(held) == count - 1
    (tmp_path / "left.txt").write_text("arms/a/0.jpg\n")
    for data in (folder, miniature):
        with pytest.raises(BadInput, match="names no file below"):
            read_data(data, leave_out=tmp_path / "left.txt")


def test_a_type_with_one_photograph_is_named(folder):
    types_folder(folder, {"lonely": 1})
    with pytest.raises(BadInput, match="lonely: one photograph"):
        read_data(folder)


def test_small_types_are_left_out_aloud(folder, capsys):
    types_folder(folder, {"few": 3})
    assert "few" not in names(read_data(folder))
    assert "left out, with fewer than 4 different photographs: few" in capsys.readouterr().err


def test_too_few_types_are_named(tmp_path):
    with pytest.raises(BadInput, match="2 types have 4 different photographs or more"):
        read_data(types_folder(tmp_path / "arms", {"a": 4, "b": 4}))


def test_the_options_of_a_command_are_those_of_the_reader(folder):
    @click.command()
    @data_options
    def command(**options):
        data = read_data(**options)
        click.echo(f"{data.name} {len(names(data))}")

    done = CliRunner().invoke(command, ["--data", str(folder), "--split-seed", "3"])
    assert done.output == "arms 5\n"
    text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--data", "--groups", "--harmless", "--split-seed", "--leave-out"):
        assert option in text
    assert CliRunner().invoke(command, []).exit_code == 2
