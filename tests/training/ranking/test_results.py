import json

import pytest

from tests.training.ranking.examples import entry
from training.errors import BadInput
from training.ranking.results import check_out, join, read_results, write_results
from training.ranking.summary import summarise

MADE = {"created": "2018-06-01T00:00:00+00:00", "git_commit": None}


def written(folder, entries, **options):
    check_out(folder, replace=False)
    write_results(entries, folder, made=MADE, **options)
    return folder


@pytest.mark.slow
def test_results_come_back_and_join(tmp_path):
    first = [entry("cls", 0), entry("cls+double", 0, noise=0.4)]
    second = [entry("cls", 1), entry("cls+double", 1, noise=0.4)]
    one, other = written(tmp_path / "a", first), written(tmp_path / "b", second)
    assert read_results(one) == json.loads(json.dumps(first))
    joined = join([one, other / "evaluation.json"])
    both = written(tmp_path / "c", joined, against="cls")
    content = json.loads((both / "evaluation.json").read_text())
    assert content["created"] == MADE["created"]
    expected = summarise([*first, *second])["cls+double"]["every/map"]
    assert content["summary"]["cls+double"]["every/map"] == pytest.approx(expected.to_json())
    assert expected.count == 2
    assert "## More than cls, paired by split" in (both / "tables.md").read_text()
    assert (both / "figures" / "distances.png").is_file()
    with pytest.raises(BadInput, match="both hold cls of split 0"):
        join([one, other, both])


def test_runs_of_one_label_and_seed_that_differ_in_their_margins_are_joined(tmp_path):
    runs = [{**entry("cls+double", 0, seed=0), "run": name} for name in ("narrow", "wide")]
    content = {"format": "evaluation/1", "entries": runs}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    assert [each["run"] for each in join([tmp_path])] == ["narrow", "wide"]
    with pytest.raises(BadInput, match="both hold cls\\+double of split 0"):
        join([tmp_path, tmp_path])


def test_results_that_are_there_are_kept(tmp_path):
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(BadInput, match="--replace"):
        check_out(tmp_path, replace=False)
    check_out(tmp_path, replace=True)
    with pytest.raises(BadInput, match="is a file"):
        check_out(tmp_path / "evaluation.json", replace=True)


def test_an_unknown_label_to_compare_with_is_named(tmp_path):
    with pytest.raises(BadInput, match="--against triplet is no label; there are mac"):
        write_results([entry("mac")], tmp_path, made=MADE, against="triplet")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "cannot be read as results"),
        ("[]", "not of the format"),
        ('{"format": "report/1"}', "not of the format"),
        ('{"format": "evaluation/1", "entries": []}', "holds no results"),
        ('{"format": "evaluation/1", "entries": [{"label": "a"}]}', "lacks split_seed"),
    ],
)
def test_other_files_are_refused(tmp_path, content, said):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(BadInput, match=said):
        read_results(tmp_path)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(BadInput, match="gone"):
        join([tmp_path / "gone"])
    with pytest.raises(BadInput, match="needs files"):
        join([])
