"""Draws a design from the side, its muzzle to the right. Knows neither pose, light nor scene."""

from training.synthesis.design import Design
from training.synthesis.longarm import longarm
from training.synthesis.parts import Figure
from training.synthesis.pistol import pistol
from training.synthesis.revolver import revolver

HANDGUNS = {"pistol": pistol, "revolver": revolver}


def firearm(design: Design) -> Figure:
    """Return the figure of a type of firearm, in units of about its length."""
    return HANDGUNS.get(design.family, longarm)(design)
