"""Which commit of a git repository the running code is of. Knows nothing of what it does."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CODE = ("models", "training", ":(exclude)models/starter")
"""What releases are made by; a starter release that was just made is no change of the code."""


def commit(root: Path = ROOT) -> str | None:
    """Return the commit of the code that makes releases.

    Args:
        root: Folder with the packages ``models`` and ``training``.

    Returns:
        Its full name, followed by ``-dirty`` where code was changed since; None without git,
        outside a repository, or in one that does not track these files.
    """
    tracked = _git(root, "ls-files", "--error-unmatch", "training/__init__.py")
    head = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", *CODE)
    if not tracked or not head or changes is None:
        return None
    return f"{head}-dirty" if changes else head


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, without blanks around it; None where it fails or is not there."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run(  # noqa: S603 - fixed commands
        [git, *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None
