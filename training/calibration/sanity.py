"""Refuse policies that flag nearly everything, before a release of one is written."""

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
