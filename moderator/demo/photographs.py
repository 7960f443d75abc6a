"""Photographs to post: public-domain ones that scikit-image ships, or those of a folder.

Knows nothing of how they are posted or decided.
"""

import importlib.util
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moderator.compose import media_type
from moderator.errors import BadSettings

Expected = Literal["flag", "pass"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
FIREARM_FOLDERS = frozenset({"firearm", "firearms", "gun", "guns", "weapons", "positives"})
HARMLESS_FOLDERS = frozenset({"harmless", "negatives", "lookalike", "lookalikes", "safe"})

PUBLIC = {
    "astronaut.png": "astronaut (NASA, public domain)",
    "chelsea.png": "cat (CC0)",
    "coffee.png": "coffee (CC0)",
    "rocket.jpg": "rocket (SpaceX, public domain)",
    "camera.png": "cameraman (CC0)",
    "horse.png": "horse, black on white (CC0)",
    "brick.png": "bricks (CC0)",
    "grass.png": "grass (CC0)",
    "gravel.png": "gravel (CC0)",
    "text.png": "handwriting (public domain)",
    "hubble_deep_field.jpg": "galaxies (NASA, public domain)",
    "clock_motion.png": "clock (public domain)",
}
"""Harmless pictures inside scikit-image's wheel whose documentation states CC0 or public domain."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph's bytes and what is known of it.

    ``expected`` is the right decision, ``type`` the type of firearm it shows; None where nobody
    has said.
    """

    label: str
    data: bytes
    media_type: str
    expected: Expected | None
    type: str | None = None


def public_photographs() -> list[Photograph]:
    """Return the public-domain photographs.

    Raises:
        BadSettings: scikit-image is not installed, or has them no longer.
    """
    folder = _installed() / "data"
    missing = [name for name in PUBLIC if not (folder / name).is_file()]
    if missing:
        raise BadSettings(f"{folder} lacks {missing[0]}; install scikit-image anew")
    return [
        Photograph(f"photo: {label}", (folder / name).read_bytes(), media_type(Path(name)), "pass")
        for name, label in PUBLIC.items()
    ]


def folder_photographs(
    folder: Path, known: Mapping[str, Expected], most: int
) -> Iterator[Photograph]:
    """Yield the photographs below a folder, in an order that mixes it, the same each time.

    What a photograph shows is taken from the folders that it lies in: the name of a known type,
    or a word such as ``firearms`` or ``negatives``; the innermost that says it counts.

    Args:
        folder: Searched with everything below it.
        known: The right decision for each known type, of firearms and of look-alikes.
        most: Bytes over which a file is left out.

    Raises:
        BadSettings: There is no such folder, or no photograph in it.
    """
    if not folder.is_dir():
        raise BadSettings(f"--images {folder} is not a folder")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.stat().st_size <= most
    )
    if not found:
        raise BadSettings(f"no photograph of at most {most} bytes below {folder}")
    random.Random(0).shuffle(found)  # noqa: S311 - an order to look at, no secret
    return (_photograph(path, folder, known) for path in found)


def truth(
    path: Path, folder: Path, known: Mapping[str, Expected]
) -> tuple[Expected | None, str | None]:
    """Return the right decision and type as the folders say, None where they do not.

    Args:
        path: The photograph, below ``folder``.
        folder: The outermost folder whose name, or whose parent's name, may say it.
        known: The right decision for each known type.
    """
    outermost = folder.resolve().parent
    for parent in path.resolve().parents:
        name = parent.name.lower()
        if parent.name in known:
            expected = known[parent.name]
            return expected, parent.name if expected == "flag" else None
        if name in FIREARM_FOLDERS:
            return "flag", None
        if name in HARMLESS_FOLDERS:
            return "pass", None
        if parent == outermost:
            break
    return None, None


def _photograph(path: Path, folder: Path, known: Mapping[str, Expected]) -> Photograph:
    expected, shown = truth(path, folder, known)
    label = f"photo: {path.parent.name}/{path.name}"
    return Photograph(label, path.read_bytes(), media_type(path), expected, shown)


def _installed() -> Path:
    """Return scikit-image's folder without importing it, which takes a second."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise BadSettings(
            "the demo needs scikit-image; install it with pip install 'moderator[demo]'"
        )
    return Path(spec.submodule_search_locations[0])
