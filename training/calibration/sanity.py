"""Refuse policies that flag nearly everything, and tell of those that flag nothing."""

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from models.index import PrototypeIndex
from models.policy import Policy
from models.selftest import drawn
from training.calibration.frames import flag_scores_of, look
from training.errors import BadInput
from training.threshold import Floats

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

MOST = 0.5
"""Share of harmless photographs that a policy may flag."""


def refuse_flagging_all(
    network: "RetrievalNetwork",
    index: PrototypeIndex,
    policy: Policy,
    harmless: Floats,
    console: Console,
    *,
    allowed: bool,
) -> None:
    """Refuse a policy that flags nearly everything, or tell of it.

    Args:
        network: In evaluation mode.
        index: Of the prototypes.
        policy: What was chosen.
        harmless: float64[N], flag scores of the harmless photographs that it was chosen on.
        console: Where it is told.
        allowed: Tell of it and go on.

    Raises:
        BadInput: It flags more than ``MOST`` of them, or all drawings of the self-test, which
            show no firearm.
    """
    share = float((harmless >= policy.threshold).mean()) if len(harmless) else 0.0
    wrong = f"{share:.0%} of the harmless photographs" if share > MOST else None
    scores = _drawings(network, index, policy)
    if wrong is None and bool((scores >= policy.threshold).all()):
        wrong = f"all {len(scores)} drawings of the self-test, which show no firearm"
    if wrong is None:
        return
    text = f"threshold {policy.threshold:.3f} flags nearly everything: {wrong}"
    if not allowed:
        raise BadInput(
            f"{text}; ask for fewer false flags, give other photographs or weights, or --flags-all"
        )
    console.print(text, style="yellow", highlight=False)


def warn_flagging_nothing(
    policy: Policy, firearms: Floats, harmless: Floats, console: Console
) -> None:
    """Tell of a policy that flags no larger share of firearms than of harmless photographs.

    Args:
        policy: What was chosen.
        firearms: float64[N], flag scores of the firearms that it was chosen on; at least 1.
        harmless: float64[M], likewise, of the harmless photographs.
        console: Where it is told.
    """
    flagged = int((firearms >= policy.threshold).sum())
    chance = float((harmless >= policy.threshold).mean()) if len(harmless) else 0.0
    if flagged / len(firearms) > chance:
        return
    console.print(
        f"threshold {policy.threshold:.3f} flags {flagged} of the {len(firearms)} firearms that "
        f"it was chosen on, no larger a share than of harmless photographs ({chance:.1%}): the "
        "network does not tell them apart; train it longer, give other weights, or allow more "
        "false flags",
        style="yellow",
        highlight=False,
        soft_wrap=True,
    )


def _drawings(network: "RetrievalNetwork", index: PrototypeIndex, policy: Policy) -> Floats:
    """Return the flag scores of the drawings of a self-test, as whole photographs."""
    sizes = network.spec.input.sizes
    rows = np.concatenate([network.embed(drawn(*size)) for size in sizes])
    frames = look(
        index,
        [row[None].astype(np.float16).astype(np.float32) for row in rows],
        neighbours=policy.neighbours,
        temperature=policy.temperature,
        lookalike_margin=policy.lookalike_margin,
    )
    return flag_scores_of(frames, policy)
