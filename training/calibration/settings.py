"""How a policy is chosen: plain data. Must not know how, nor photographs, networks or indexes."""

from dataclasses import dataclass

from models.errors import BadRelease
from models.policy import PART_MARGIN, HeadRule, Policy
from training.errors import BadInput

SHARES = ("false_flag_rate", "near_miss_rate", "fallback_recall", "prior")


@dataclass(frozen=True)
class PolicySettings:
    """What a policy is to be like.

    Args:
        false_flag_rate: Share of harmless photographs that may be flagged, in 0..1.
        near_miss_rate: Share that may be flagged or near misses; at least ``false_flag_rate``.
        fallback_recall: Share of firearms to flag where there is nothing harmless, in 0..1.
        lookalike_margin: See ``models.policy.Policy``.
        neighbours: Likewise.
        temperature: Likewise; None: a firearm is told by its nearest prototype alone.
        least_quantile: Of the similarities of firearms to their nearest firearm: below it nothing
            is flagged, whatever the support; 0: no such limit. Of the soft rule only, as the
            threshold is such a limit without.
        type_thresholds: Whether types have thresholds of their own.
        shrinkage: False flags that pull a type's threshold half the way to its own, at least 0.
        region_share: Most of the allowed false flags that regions may add, in 0..1; 0: regions
            are not judged.
        part_margin: See ``models.policy.Policy``.
        prior: Share of firearms among what is judged, of which the score is the probability.
        head: See ``models.policy.Policy``; not beside a temperature.

    Raises:
        BadInput: A figure is out of its range.
    """

    false_flag_rate: float = 0.01
    near_miss_rate: float = 0.05
    fallback_recall: float = 0.95
    lookalike_margin: float = 0.0
    neighbours: int = 30
    temperature: float | None = None
    least_quantile: float = 0.005
    type_thresholds: bool = False
    shrinkage: float = 4.0
    region_share: float = 0.2
    part_margin: float = PART_MARGIN
    prior: float = 0.5
    head: HeadRule | None = None

    def __post_init__(self) -> None:
        for name in SHARES:
            value = getattr(self, name)
            if not 0 < value < 1:
                raise BadInput(f"{_option(name)} {value} is not between 0 and 1")
        if self.near_miss_rate < self.false_flag_rate:
            raise BadInput(
                f"--near-miss-rate {self.near_miss_rate} is below --false-flag-rate "
                f"{self.false_flag_rate}; near misses include what is flagged"
            )
        for name in ("least_quantile", "region_share"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise BadInput(f"{_option(name)} {value} is not 0 or more and below 1")
        if not 0 <= self.shrinkage <= 1e6:
            raise BadInput(f"--type-shrinkage {self.shrinkage} is not a number of 0 or more")
        self._check_policy()

    def _check_policy(self) -> None:
        """Let a policy judge what is only handed on to it, before anything is embedded."""
        try:
            Policy(
                threshold=0.0,
                lookalike_margin=self.lookalike_margin,
                neighbours=self.neighbours,
                temperature=self.temperature,
                part_margin=self.part_margin,
                head=self.head,
            )
        except BadRelease as error:
            raise BadInput(f"the options make no policy: {error}") from None


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
