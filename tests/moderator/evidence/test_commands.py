"""``moderator evidence``: what it says, and that it fails where copies may be left."""

import io
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from moderator.check import _evidence
from moderator.cli import cli
from moderator.errors import BadSettings
from moderator.evidence.files import LocalFiles
from moderator.evidence.store import EvidenceStore
from moderator.evidence.sweeper import run_delete
from moderator.records import Record
from moderator.settings import Evidence, load_settings
from tests.moderator.evidence.test_migration import COPY, deleted, shown


def run(root: Path, *arguments: str) -> Result:
    given = ["--set", f"evidence_url={root}"]
    return CliRunner().invoke(cli, ["evidence", *arguments, *given], standalone_mode=False)


def keep(root: Path, post_id: str, ahead: float = 0) -> Path:
    record = Record("posts", 0, 5, int((time.time() + ahead) * 1000), post_id.encode(), b"x")
    url = EvidenceStore(LocalFiles(root)).keep(post_id, record, COPY, lambda: b"jpeg")
    assert url is not None
    return Path(url.removeprefix("file://"))


@pytest.mark.parametrize("ahead", [-3600, 3, 3600])
def test_delete_removes_all_copies_whatever_clock_the_post_was_made_by(tmp_path, ahead) -> None:
    paths = [keep(tmp_path, name, ahead) for name in ("4711", "4712", "other")]
    result = run(tmp_path, "delete", "4711", "4712", "never-seen")
    assert (result.return_value, result.exception) == (0, None)
    assert result.stdout.splitlines() == [
        "4711\t1 copies removed",
        "4712\t1 copies removed",
        "never-seen\t0 copies removed",
    ]
    assert [path.exists() for path in paths] == [False, False, True]


def test_delete_says_which_it_could_not_do_and_fails(tmp_path, monkeypatch) -> None:
    paths = [keep(tmp_path, name) for name in ("a", "b", "c")]
    real = LocalFiles.remove

    def refusing(self: LocalFiles, path: str) -> None:
        if (tmp_path / path) == paths[1]:
            raise PermissionError("not yours")
        real(self, path)

    monkeypatch.setattr(LocalFiles, "remove", refusing)
    out = io.StringIO()
    found = run_delete(Evidence(evidence_url=str(tmp_path)), ("a", "b", "c"), Console(file=out))
    assert found == 1
    assert [path.exists() for path in paths] == [False, True, False]
    lines = out.getvalue().splitlines()
    assert lines[1] == "b\tfailed, copies may be left: PermissionError: not yours"
    assert lines[2] == "c\t1 copies removed"


def test_delete_fails_where_the_store_is_away(tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = run(tmp_path / "file", "delete", "a")
    assert result.return_value == 1
    assert "failed" in result.stdout


def test_an_old_store_is_told_by_every_command_until_it_is_moved(tmp_path) -> None:
    files = LocalFiles(tmp_path)
    shown(files, "p", COPY, 1, time.time())
    shown(files, "q", COPY, 2, time.time() - 10**8)
    deleted(files, "r", 3)
    (finding,) = _evidence(str(tmp_path))
    assert (finding.level, finding.mend) == ("FAIL", "move them with `moderator evidence migrate`")
    result = run(tmp_path, "delete", "p")
    assert result.return_value == 1
    assert "evidence migrate" in result.stdout
    assert "evidence migrate" in str(run(tmp_path, "sweep").exception)
    result = run(tmp_path, "migrate")
    assert (result.return_value, result.exception) == (0, None)
    *lines, last = result.stdout.splitlines()
    # The operator's deletion came before it was moved.
    assert [line.split()[0] for line in lines] == ["moved", "removed"]
    assert last.startswith("1 moved; 1 removed")
    assert not list(tmp_path.rglob("*.jpg"))
    (finding,) = _evidence(str(tmp_path))
    assert finding.level == "ok"
    assert run(tmp_path, "migrate").stdout.startswith("0 moved; 0 removed")
    assert run(tmp_path, "delete", "p").return_value == 0


def test_a_deletion_must_not_be_forgotten_while_its_post_waits_to_be_tried_again() -> None:
    given = {"evidence_url": "/somewhere", "retry_delays": "10s,1m,10m"}
    load_settings(given | {"evidence_retention": "1340"}, environ={})
    with pytest.raises(BadSettings, match=r"evidence_retention \(1339 s\) must be at least 1340 s"):
        load_settings(given | {"evidence_retention": "1339"}, environ={})
    load_settings({"evidence_retention": "60"}, environ={})
    load_settings(given | {"evidence_retention": "60", "retry_delays": ""}, environ={})
