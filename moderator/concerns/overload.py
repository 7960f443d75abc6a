"""When work is left out because posts are decided too late."""

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Seconds


class Overload(Concern):
    """When work is left out, never posts, because posts are decided too late."""

    age_objective: Seconds = Field(
        default=0.0,
        description="Seconds of age at judging above which work is left out step by step: regions, "
        "then all frames of an animation but that longest in view; 0: never.",
    )
    shed_step: Seconds = Field(
        default=5.0, gt=0, description="Seconds above age_objective until the next step."
    )
    shed_recovered: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Share of age_objective below which work is taken up again.",
    )
    shed_recovery: Seconds = Field(
        default=30.0,
        gt=0,
        description="Seconds below that share until a step is taken back.",
    )
