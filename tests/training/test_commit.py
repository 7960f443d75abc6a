"""The commit that a release's manifest names, in repositories made for the tests."""

import os
import subprocess
from pathlib import Path

import pytest

from training.commit import commit

CLEAN = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=CLEAN, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with both packages, in no repository."""
    for folder in ("models/starter", "training", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("models/__init__.py", "models/starter/manifest.json", "training/__init__.py"):
        (tmp_path / file).write_text("first")
    (tmp_path / ".gitignore").write_text("*.pyc")
    (tmp_path / "docs" / "guide.md").write_text("first")
    return tmp_path


@pytest.fixture
def head(root) -> str:
    """The commit of a repository that tracks it all."""
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return git(root, "rev-parse", "HEAD")


def test_a_clean_tree_is_its_commit(root, head) -> None:
    assert commit(root) == head


@pytest.mark.parametrize("file", ["models/__init__.py", "training/__init__.py", "training/new.py"])
def test_changed_or_new_code_is_said_to_be_dirty(root, head, file) -> None:
    (root / file).write_text("second")
    assert commit(root) == f"{head}-dirty"
    git(root, "add", ".")
    assert commit(root) == f"{head}-dirty"


def test_removed_code_is_said_to_be_dirty(root, head) -> None:
    (root / "models" / "__init__.py").unlink()
    assert commit(root) == f"{head}-dirty"


@pytest.mark.parametrize(
    "file", ["docs/guide.md", "models/starter/manifest.json", "models/starter/new", "models/a.pyc"]
)
def test_what_is_no_code_may_change(root, head, file) -> None:
    (root / file).write_text("second")
    assert commit(root) == head


def test_outside_a_repository_there_is_none(root) -> None:
    assert commit(root) is None


def test_in_a_repository_without_a_commit_there_is_none(root) -> None:
    git(root, "init", "--quiet")
    git(root, "add", ".")
    assert commit(root) is None


def test_a_repository_that_does_not_track_the_package_is_not_its_own(root) -> None:
    git(root, "init", "--quiet")
    git(root, "add", "docs")
    git(root, "commit", "--quiet", "-m", "first")
    assert commit(root) is None


def test_without_git_there_is_none(root, head, monkeypatch, tmp_path_factory) -> None:
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
    assert commit(root) is None
