"""The command line from outside: what is said, the exit codes, and what is not imported for it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from PIL import Image

from moderator.cli import cli
from moderator.settings import PREFIX, fields

HEAVY = ("torch", "torchvision", "kafka", "hnswlib", "rich", "PIL", "numpy", "confluent_kafka")
"""Packages that take long to import."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = isinstance(command, click.Group)
        found += commands(command, (*path, name)) if inner else [(*path, name)]
    return found


COMMANDS = commands(cli)


def environment(**given: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
    return {**inherited, "COLUMNS": "100", **given}


def run(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "moderator", *arguments],
        capture_output=True,
        text=True,
        env=environment(**given),
        timeout=120,
    )


def said(*arguments: str, **given: str) -> str:
    """Return the one line of a run that ends with code 2."""
    done = run(*arguments, **given)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


def imported_after(arguments: list[str]) -> tuple[int, set[str]]:
    """Run the command line in a fresh interpreter; return exit code and top-level modules."""
    code = (
        "import sys\n"
        "from moderator.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as error:\n"
        "    print()\n"
        "    print(error.code, *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
        timeout=120,
    )
    exit_code, *names = done.stdout.splitlines()[-1].split()
    return int(exit_code), set(names)


def test_the_commands_are_those_of_the_design() -> None:
    expected = (
        "check|dead-letters list|dead-letters replay|dead-letters show|decide|demo|drain|"
        "evidence delete|evidence migrate|evidence sweep|post|release activate|release diff|"
        "release list|release rollback|release shadow|release show|release stage|release status|"
        "release verify|replay|topics create|worker"
    )
    assert sorted(" ".join(path) for path in COMMANDS) == expected.split("|")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_of_the_command_itself_and_the_settings_options(path) -> None:
    done = run(*path, "--help")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"Examples?:\n +.*moderator {' '.join(path)}\b", done.stdout)
    assert "--set NAME=VALUE" in done.stdout
    assert "--config PATH" in done.stdout


def test_help_of_the_worker_names_every_setting_and_its_default() -> None:
    text = " ".join(run("worker", "--help").stdout.split())
    missing = [name for _, name, _ in fields() if not re.search(rf" {name} \w", text)]
    assert missing == []
    assert "max_batch Images at which a batch closes. [default: 32]" in text
    assert "sasl_username User name of PLAIN and SCRAM. [default: none]" in text
    assert "[default: the starter release]" in text
    assert text.count("[default: ") == len(list(fields()))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *((["--help"], 0), (["--version"], 0)),
        *(([*path, "--help"], 0) for path in COMMANDS),
        *(([*path[:1], "--no-such"], 2) for path in COMMANDS),
    ],
)
def test_help_imports_nothing_heavy(arguments, code) -> None:
    exit_code, modules = imported_after(arguments)
    assert exit_code == code
    assert modules.isdisjoint(HEAVY), modules.intersection(HEAVY)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_wrong_setting_is_found_before_anything_heavy_is_imported(path) -> None:
    needed = ["photo.jpg"] if path[0] in {"decide", "post"} else []
    exit_code, modules = imported_after([*path, *needed, "--set", "http_port=many"])
    assert exit_code == 2
    assert modules.isdisjoint(HEAVY), modules.intersection(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["workr"], "no command workr; did you mean worker?"),
        (["xyz"], "no command xyz; see `moderator --help`"),
        (["release", "shw"], "no command shw; did you mean show?"),
        (["worker", "--cnfig", "a.toml"], "--config"),
        (["worker", "more"], "more"),
        (["decide"], "missing argument 'IMAGE...'; see `moderator decide --help`"),
        (["demo", "--posts", "many"], "'many' is not a valid integer"),
        (["demo", "--images", "/nowhere"], "/nowhere"),
        (["worker", "--set", "grop=a"], "unknown setting grop; did you mean group?"),
        (["worker", "--set", "group"], "--set group names no value; write --set group=value"),
        (["worker", "--set", "=a"], "names no setting"),
        (["worker", "--set", "http_port=70000"], "http_port"),
        (["worker", "--config", "/nowhere.toml"], "cannot read /nowhere.toml"),
        (["decide", "a.jpg", "--set", "release=/nowhere"], "/nowhere"),
        (["release", "show", "/nowhere"], "/nowhere"),
    ],
)
def test_mistakes_end_in_one_line_that_names_them(arguments, expected) -> None:
    line = said(*arguments)
    assert line.startswith("moderator: ")
    assert expected in line


def test_a_wrong_environment_variable_is_named() -> None:
    line = said("worker", MODERATOR_HTTP_PRT="1")
    assert "MODERATOR_HTTP_PRT" in line
    assert "MODERATOR_HTTP_PORT" in line


def test_the_last_value_of_a_setting_holds_and_wins_over_the_file(tmp_path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('release = "/from-the-file"\n')
    given = ("release", "verify", "--config", str(file))
    assert "/from-the-file" in said(*given)
    overrides = ("--set", "release=/first", "--set", "release=/second=with=equals")
    assert "/second=with=equals" in said(*given, *overrides)


def test_without_a_command_the_help_is_shown() -> None:
    done = run()
    assert done.returncode == 2
    assert "Commands:" in done.stderr


def test_a_reader_that_goes_away_is_met_quietly() -> None:
    command = f"{sys.executable} -m moderator worker --help | true"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment(), timeout=60
    )
    assert done.stderr == ""


def test_ctrl_c_ends_a_command_with_130_and_no_traceback(tmp_path) -> None:
    fifo = tmp_path / "settings.toml"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "moderator", "worker", "--config", str(fifo)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    # Opening the pipe succeeds once the command has opened it too: it is then reading settings.
    with Path(fifo).open("w"):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out.strip(), err.strip()) == ("", "")


DECIDE = [sys.executable, "-m", "moderator", "decide"]


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    Image.new("RGB", (64, 64), (9, 120, 30)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_deciding_ends_though_standard_streams_are_closed(picture, closed) -> None:
    command = f'exec "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *DECIDE, str(picture)],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    shown = "" if ">&-" in closed.split() else f"{picture}\tpass\tno-match\n"
    assert done.stdout == shown


@pytest.mark.slow
def test_a_list_of_files_may_hold_names_that_are_no_text(picture, tmp_path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(name)).write_bytes(picture.read_bytes())
    done = subprocess.run(
        [*DECIDE, "--json", "-"], input=name + b"\n", capture_output=True, timeout=90, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = json.loads(done.stdout)
    assert said["reason"] == "no-match"
    assert said["post_id"].endswith("\\udcff\\udcfe.png")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_an_output_that_takes_no_more_is_said_in_one_line(picture) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*DECIDE, str(picture)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=90,
            check=False,
        )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert "standard output cannot be written" in line


@pytest.mark.slow
def test_deciding_a_folder_says_what_it_left_out(picture) -> None:
    (picture.parent / "notes.txt").write_text("x")
    (picture.parent / "README").write_text("x")
    done = subprocess.run(
        [*DECIDE, str(picture.parent)], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout == f"{picture}\tpass\tno-match\n"
    assert "left out 2 files that are no images by their suffix" in done.stderr
    assert ".txt 1" in done.stderr
