"""Draws one picture of an album into its file. Knows no other pictures."""

import os
import shutil
from pathlib import Path

from PIL import Image

from training.folder import Box
from training.synthesis.chance import stream
from training.synthesis.firearm import firearm
from training.synthesis.harmless import harmless
from training.synthesis.layout import Plate
from training.synthesis.lookalike import LOOKALIKES, lookalike
from training.synthesis.order import Order
from training.synthesis.parts import Figure
from training.synthesis.scene import SOURCES, Picture, picture

QUALITIES = (72, 96)
"""Least and, not quite, largest quality of JPEG files."""


def draw(plate: Plate, order: Order) -> Picture:
    """Return the picture of a plate; equal plates and orders give equal pixels."""
    words = (plate.name, plate.number)
    return picture(_figure(plate, order), SOURCES[plate.source], order.side, order.seed, words)


def print_plate(plate: Plate, order: Order, root: Path) -> Box:
    """Write the file of a plate, and its copies, below ``root``; returns the figure's box.

    Raises:
        OSError: A file cannot be written.
    """
    drawn = draw(plate, order)
    file = root / plate.path
    file.parent.mkdir(parents=True, exist_ok=True)
    quality = int(stream(order.seed, plate.name, plate.number, "quality").integers(*QUALITIES))
    Image.fromarray(drawn.pixels).save(file, quality=quality)
    for copy in plate.copies:
        _same(file, root / copy)
    return drawn.box


def _figure(plate: Plate, order: Order) -> Figure:
    if plate.design is not None:
        return firearm(plate.design)
    chance = stream(order.seed, plate.name, plate.number, "figure")
    kind = lookalike if plate.name in LOOKALIKES else harmless
    return kind(plate.name, chance)


def _same(file: Path, copy: Path) -> None:
    """Make ``copy`` the same file, or an equal one where disks know no links."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, copy)
    except OSError:
        shutil.copyfile(file, copy)
