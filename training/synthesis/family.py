"""The families of firearms and within what their types differ. Draws nothing and no chance.

Measures are in units of the firearm: a long firearm is about one long, a handgun about 0.9. An
option that a choice names twice is twice as likely.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Within what its types differ.

    Args:
        words: The end of a type's name.
        measures: Least and largest value of each measure.
        shapes: The options of each choice.
    """

    words: str
    measures: Mapping[str, tuple[float, float]]
    shapes: Mapping[str, tuple[str, ...]]


LONG_MEASURES = {
    "receiver": (0.17, 0.30),
    "depth": (0.055, 0.1),
    "fore": (0.12, 0.28),
    "fore_depth": (0.04, 0.075),
    "barrel": (0.08, 0.26),
    "bore": (0.010, 0.017),
    "butt": (0.17, 0.30),
    "butt_depth": (0.07, 0.14),
    "drop": (0.0, 0.09),
    "grip": (0.11, 0.16),
    "lean": (0.02, 0.09),
    "feed": (0.08, 0.2),
    "feed_width": (0.045, 0.075),
    "bend": (-0.02, 0.05),
    "sight": (0.02, 0.06),
}
LONG_SHAPES = {
    "butt": ("solid", "skeleton", "wire", "tube", "thumbhole"),
    "feed": ("straight", "curved"),
    "fore": ("smooth", "ribbed", "vented", "railed"),
    "sight": ("irons", "handle", "scope", "dot", "posts"),
    "muzzle": ("plain", "brake", "flare", "silencer"),
    "grip": ("pistol",),
    "extra": ("none", "foregrip", "light"),
}

FAMILIES: Mapping[str, Family] = {
    "pistol": Family(
        "pistol",
        {
            "slide": (0.55, 0.9),
            "slide_depth": (0.11, 0.17),
            "frame": (0.05, 0.1),
            "grip": (0.28, 0.46),
            "grip_width": (0.2, 0.27),
            "lean": (0.02, 0.2),
            "guard": (0.09, 0.13),
            "barrel": (0.0, 0.16),
            "taper": (0.0, 0.06),
        },
        {
            "body": ("slide", "open", "bare"),
            "hammer": ("none", "ring", "spur"),
            "guard": ("round", "square", "hooked"),
            "grip": ("straight", "swell", "raked"),
            "cuts": ("rear", "both", "none"),
            "sight": ("low", "target", "dot"),
            "muzzle": ("flush", "silencer", "brake", "flush"),
            "feed": ("flush", "long", "flush"),
            "rail": ("none", "light", "slot"),
        },
    ),
    "revolver": Family(
        "revolver",
        {
            "barrel": (0.14, 0.62),
            "barrel_depth": (0.035, 0.06),
            "cylinder": (0.16, 0.26),
            "cylinder_radius": (0.09, 0.135),
            "grip": (0.3, 0.44),
            "lean": (0.04, 0.24),
            "grip_width": (0.12, 0.19),
            "guard": (0.08, 0.12),
            "strap": (0.02, 0.06),
        },
        {
            "lug": ("none", "rod", "half", "full"),
            "grip": ("plow", "target", "bird"),
            "hammer": ("spur", "bobbed", "high"),
            "rib": ("none", "vented", "solid"),
            "sight": ("blade", "ramp", "target"),
            "flutes": ("long", "none", "short"),
            "guard": ("round", "square"),
        },
    ),
    "rifle": Family("rifle", LONG_MEASURES, {**LONG_SHAPES, "place": ("front", "front", "behind")}),
    "submachine": Family(
        "submachine+gun",
        {
            **LONG_MEASURES,
            "receiver": (0.26, 0.44),
            "fore": (0.05, 0.14),
            "barrel": (0.04, 0.16),
            "butt": (0.12, 0.26),
            "feed": (0.2, 0.34),
            "feed_width": (0.04, 0.06),
            "depth": (0.07, 0.12),
            "grip": (0.16, 0.22),
        },
        {
            **LONG_SHAPES,
            "butt": ("none", "wire", "skeleton", "tube"),
            "sight": ("irons", "dot", "posts"),
            "feed": ("straight", "curved", "in grip", "drum"),
            "place": ("front",),
        },
    ),
    "shotgun": Family(
        "shotgun",
        {
            **LONG_MEASURES,
            "receiver": (0.14, 0.22),
            "fore": (0.1, 0.22),
            "barrel": (0.2, 0.42),
            "bore": (0.013, 0.02),
            "gap": (0.0, 0.12),
            "butt": (0.24, 0.34),
        },
        {
            **LONG_SHAPES,
            "butt": ("solid", "skeleton", "solid", "none"),
            "feed": ("tube", "double", "straight"),
            "sight": ("bead", "irons", "posts"),
            "muzzle": ("plain", "plain", "brake"),
            "grip": ("straight", "pistol", "half"),
            "place": ("front",),
            "fore": ("smooth", "ribbed"),
        },
    ),
    "machine": Family(
        "machine+gun",
        {
            **LONG_MEASURES,
            "receiver": (0.28, 0.4),
            "barrel": (0.2, 0.34),
            "bore": (0.014, 0.024),
            "fore": (0.06, 0.18),
            "leg": (0.16, 0.26),
            "foot": (0.05, 0.16),
        },
        {
            **LONG_SHAPES,
            "feed": ("belt", "drum", "pan", "top", "straight"),
            "butt": ("solid", "skeleton", "spade"),
            "sight": ("irons", "handle", "posts"),
            "support": ("bipod", "tripod", "bipod"),
            "fore": ("smooth", "vented", "ribbed"),
            "muzzle": ("brake", "flare", "plain"),
            "place": ("front",),
        },
    ),
    "sniper": Family(
        "sniper+rifle",
        {
            **LONG_MEASURES,
            "receiver": (0.16, 0.24),
            "barrel": (0.24, 0.36),
            "fore": (0.14, 0.26),
            "butt": (0.24, 0.32),
            "feed": (0.04, 0.1),
            "glass": (0.2, 0.32),
            "leg": (0.12, 0.2),
        },
        {
            **LONG_SHAPES,
            "butt": ("thumbhole", "solid", "skeleton"),
            "sight": ("scope",),
            "muzzle": ("plain", "brake", "silencer"),
            "support": ("none", "bipod"),
            "grip": ("half", "pistol"),
            "place": ("front",),
            "extra": ("none",),
        },
    ),
    "musket": Family(
        "musket",
        {
            **LONG_MEASURES,
            "receiver": (0.1, 0.16),
            "fore": (0.28, 0.46),
            "barrel": (0.06, 0.24),
            "depth": (0.04, 0.06),
            "fore_depth": (0.03, 0.05),
            "butt": (0.22, 0.32),
        },
        {
            **LONG_SHAPES,
            "butt": ("solid", "curved", "cheek"),
            "feed": ("none", "lever", "none"),
            "sight": ("bead", "ladder"),
            "muzzle": ("plain", "bayonet", "plain"),
            "grip": ("straight", "half"),
            "fore": ("bands", "smooth"),
            "lock": ("flint", "cap", "bolt"),
            "extra": ("none",),
            "place": ("front",),
        },
    ),
}
"""Every family of firearms that can be drawn."""
