"""What builds the environment says in one line what it lacks, and ``make`` lists what there is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

SCRIPTS = [*sorted((REPOSITORY / ".ci").iterdir()), REPOSITORY / "tests/services/install.sh"]

TOOLS = ("sh", "dirname", "grep", "sed", "tr", "env", "id")
"""What the scripts take for granted."""


@pytest.fixture
def programs(tmp_path) -> Path:
    """A folder to be the whole PATH, with nothing but the tools."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def add(programs: Path, name: str, script: str) -> None:
    path = programs / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(programs: Path, script: str, *arguments: str, cwd: Path = REPOSITORY, **given: str):
    environ = {"PATH": str(programs), **given}
    command = [str(REPOSITORY / script), *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_scripts_are_in_order(script, shell) -> None:
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(script, os.X_OK)


def test_make_alone_lists_every_target() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == targets
    assert {*targets} == {*re.findall(r"^([a-z-]+):", makefile, re.M)}


def as_root(programs: Path, known: tuple[str, ...], log: Path) -> None:
    """Give the PATH an apt that writes down what it is asked, and a user who may ask it."""
    add(programs, "id", "echo 0")
    add(programs, "apt-get", f'echo "$*" >> {log}')
    add(programs, "apt-cache", f'case " {" ".join(known)} " in *" $2 "*) ;; *) exit 100;; esac')


def test_apt_is_asked_for_the_first_alternative_that_it_knows(programs, tmp_path) -> None:
    log = tmp_path / "log"
    as_root(programs, ("second", "third", "other"), log)
    done = run(programs, ".ci/apt", "Tests", "first|second|third", "other")
    assert done.returncode == 0, done.stderr
    update, install = log.read_text().splitlines()
    assert update.startswith("update")
    assert install.startswith("install")
    assert install.split()[-2:] == ["second", "other"]


def test_packages_that_apt_does_not_know_end_in_one_line(programs, tmp_path) -> None:
    as_root(programs, (), tmp_path / "log")
    done = run(programs, ".ci/apt", "Tests", "first|second")
    assert done.returncode == 1
    assert done.stderr == (
        "Tests: apt knows no package first|second here; please install it in another way\n"
    )
    assert "install" not in (tmp_path / "log").read_text()


def test_without_apt_or_rights_one_line_says_what_to_install(programs) -> None:
    done = run(programs, ".ci/apt", "Tests", "first|second", "other")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Tests: please install first or second, other; there is no apt-get here to do it\n"
    )
    add(programs, "apt-get", "exit 99")
    add(programs, "id", "echo 1000")
    add(programs, "sudo", "exit 1")
    done = run(programs, ".ci/apt", "Tests", "first")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Tests: please install as root: first\n"


def test_services_that_are_there_are_not_installed(programs, tmp_path) -> None:
    given = {"TEST_CACHE_FOLDER": str(tmp_path)}
    done = run(programs, "tests/services/install.sh", "redis", "kafka", **given)
    assert done.returncode == 1
    for name in ("redis-server", "openjdk-17", "maven"):
        assert name in done.stderr
    for name in ("redis-server", "java"):
        add(programs, name, "exit 99")
    (tmp_path / "kafka-4.3.1").mkdir()
    done = run(programs, "tests/services/install.sh", "redis", "kafka", **given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run(programs, "tests/services/install.sh", "mysql").returncode == 2


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with an environment that has nothing but pip, and a lock to install into it."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    (tmp_path / "requirements.lock").write_text("hnswlib==0.8.0 \\\n    --hash=sha256:0\n")
    return tmp_path


def test_a_missing_compiler_is_said_before_anything_is_installed(programs, folder) -> None:
    done = run(programs, ".ci/environment", "venv", cwd=folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "Building hnswlib needs a compiler and headers: please install g++; there is no apt-get "
        "here to do it\n"
    )


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("/opt/lib/python3.11", r"The Python of venv has no Python\.h, .* with PYTHON=.*\n"),
        ("/usr/lib/python3.11", r"Building hnswlib needs .* install python3\.\d+-dev; .*\n"),
    ],
)
def test_missing_headers_are_said_before_anything_is_installed(
    programs, folder, library, said
) -> None:
    add(programs, "g++", "exit 99")
    # Takes the headers away from the environment's Python.
    (folder / "sitecustomize.py").write_text(
        "import sysconfig\n"
        "found = sysconfig.get_path\n"
        f"places = {{'include': '/nowhere', 'stdlib': {library!r}}}\n"
        "sysconfig.get_path = lambda name, *rest: places.get(name) or found(name, *rest)\n"
    )
    done = run(programs, ".ci/environment", "venv", cwd=folder, PYTHONPATH=str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(said, done.stderr)
