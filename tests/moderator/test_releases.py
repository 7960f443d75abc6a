"""``moderator release``: what it says of good releases and of damaged ones."""

import io
import json
import shutil
from dataclasses import replace

import pytest
from rich.console import Console

from models.errors import BadNetwork, BadRelease
from models.release import load_release
from moderator.errors import BadSettings
from moderator.releases import run_list, run_show, run_verify
from moderator.rollout.sanity import flags_nearly_all
from moderator.rollout.store import FolderStore, RemoteStore
from moderator.settings import STARTER
from tests.moderator.rollout.samples import with_policy


@pytest.fixture
def copied(tiny_release, tmp_path):
    """A copy of the release that a test may damage."""
    return shutil.copytree(tiny_release.path, tmp_path / "releases" / "copied")


def lines(run, *arguments, as_json: bool = False) -> tuple[int, list[str]]:
    out = Console(file=io.StringIO(), width=40)
    code = run(*arguments, out, as_json=as_json)
    return code, out.file.getvalue().splitlines()


def test_show_tells_people_what_it_holds(tiny_release) -> None:
    code, shown = lines(run_show, tiny_release.path)
    text = "\n".join(shown)
    assert code == 0
    for expected in (
        tiny_release.id,
        tiny_release.network_digest,
        "mobilenet_v2",
        "1280",
        "64x64",
        "26 firearm, 12 lookalike",
        f"{tiny_release.policy.threshold:.4f}",
        "2024-01-01T00:00:00+00:00",
        "test.recall: 0.5",
        "an untrained network, for tests",
        "unknown",
    ):
        assert expected in text
    assert "pistol" not in text, "breakdowns are for machines"


def test_show_tells_machines_all_of_it(tiny_release) -> None:
    _, (line,) = lines(run_show, tiny_release.path, as_json=True)
    body = json.loads(line)
    assert body["id"] == tiny_release.id
    assert body["prototypes"] == {"firearm": 26, "lookalike": 12, "override": 0}
    assert body["types"] == 7
    assert body["policy"]["threshold"] == tiny_release.policy.threshold
    assert body["policy"]["version"] == tiny_release.policy.version
    assert body["report"] == dict(tiny_release.report)
    assert body["git_commit"] is None


def test_verify_says_what_was_verified(tiny_release) -> None:
    code, shown = lines(run_verify, tiny_release.path, "cpu")
    assert code == 0
    assert any("all digests" in line and "cpu" in line for line in shown)


@pytest.mark.parametrize("name", ["weights.safetensors", "prototypes.npz", "policy.json"])
def test_a_changed_byte_is_found_and_named(copied, name) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    for run, arguments in ((run_verify, (copied, "cpu")), (run_show, (copied,))):
        with pytest.raises(BadRelease, match=name):
            lines(run, *arguments)


def test_verify_refuses_a_device_that_is_not_there(tiny_release) -> None:
    with pytest.raises(BadNetwork, match="abacus"):
        lines(run_verify, tiny_release.path, "abacus")


def test_list_names_releases_and_damaged_ones(copied, tiny_release) -> None:
    folder = copied.parent
    code, (line,) = lines(run_list, FolderStore(folder))
    assert code == 0
    assert line.split("\t")[0] == tiny_release.id
    assert line.split("\t")[-1] == str(copied)
    damaged = shutil.copytree(copied, folder / "damaged")
    (damaged / "manifest.json").write_text("{}")
    code, found = lines(run_list, FolderStore(folder), as_json=True)
    assert code == 1
    bodies = {body["path"]: body for body in map(json.loads, found)}
    assert bodies[str(copied)]["fault"] is None
    assert bodies[str(copied)]["network_digest"] == tiny_release.network_digest
    assert str(damaged) in bodies[str(damaged)]["fault"]


def test_list_of_a_folder_without_releases_says_so(tmp_path) -> None:
    with pytest.raises(BadSettings, match="holds no releases"):
        lines(run_list, FolderStore(tmp_path))


def test_list_marks_what_the_group_is_to_serve(tiny_release) -> None:
    def run(out: Console, *, as_json: bool) -> int:
        marks = {tiny_release.id: "active"}
        return run_list(FolderStore(tiny_release.path.parent), out, as_json=as_json, marks=marks)

    assert lines(run)[1][0].endswith("\tactive")
    assert json.loads(lines(run, as_json=True)[1][0])["role"] == "active"


def test_list_of_a_url_is_as_that_of_a_folder(copied, tmp_path) -> None:
    damaged = shutil.copytree(copied, copied.parent / "damaged")
    (damaged / "manifest.json").write_text("{}")
    url = f"file://{copied.parent}"
    code, found = lines(run_list, RemoteStore(url, tmp_path / "cache"))
    local = lines(run_list, FolderStore(copied.parent))
    assert (code, [line.replace(url, str(copied.parent)) for line in found]) == local
    assert not (tmp_path / "cache").exists(), "nothing is fetched"


def test_list_without_a_folder_is_of_releases_url(copied, tiny_release) -> None:
    from click.testing import CliRunner

    from moderator.cli import cli

    for url in (str(copied.parent), f"file://{copied.parent}"):
        given = ["--set", f"releases_url={url}", "--set", "control_topic="]
        run = CliRunner().invoke(cli, ["release", "list", *given])
        assert run.exit_code == 0, run.output
        assert run.output.splitlines()[0].startswith(f"{tiny_release.id}\t")
        assert url in run.output


def test_verify_refuses_one_that_flags_nearly_everything_unless_asked(
    tiny_release, tmp_path
) -> None:
    eager = with_policy(tiny_release, tmp_path / "eager")
    with pytest.raises(BadRelease, match="flags nearly everything: all 3 drawings") as caught:
        lines(run_verify, eager.path, "cpu")
    assert "\n" not in str(caught.value)

    def run(out: Console, *, as_json: bool) -> int:
        return run_verify(eager.path, "cpu", out, as_json=as_json, flags_all=True)

    code, shown = lines(run)
    assert code == 0
    assert any(line.startswith("warning") for line in shown)


@pytest.mark.parametrize(("share", "told"), [(0.9, "90% of the harmless"), (0.01, None)])
def test_what_its_report_says_it_flags_is_believed(tiny_release, share, told) -> None:
    flags = {"at_threshold": {"false_flags": share}}
    report = {"figures": {"threshold": {"flags": flags}}}
    wrong = flags_nearly_all(replace(tiny_release, report=report))
    assert (wrong is None) if told is None else (told in wrong)


def test_the_starter_does_not_flag_nearly_everything() -> None:
    assert flags_nearly_all(load_release(STARTER)) is None
