"""All that steps of a run need, together. Must not know the run's directory."""

from dataclasses import dataclass

from training.stages.feed import Feed
from training.stages.gradients import Model
from training.stages.parallel import World
from training.stages.settings import Settings
from training.stages.stage import Embed, Stage


@dataclass(frozen=True, eq=False)
class Learning:
    """A stage at work.

    Args:
        model: On its device; its network and the stage's head learn.
        stage: What is learnt.
        feed: Of the stage's photographs.
        embed: Embeds photographs by the network as it is now.
        settings: Of the run.
        world: The processes.
    """

    model: Model
    stage: Stage
    feed: Feed
    embed: Embed
    settings: Settings
    world: World

    def sizes(self) -> dict[str, int]:
        """Return how many parameters and photographs there are."""
        parameters = list(self.model.network.parameters())
        return {
            "parameters": sum(p.numel() for p in parameters),
            "parameters_learnt": sum(p.numel() for p in parameters if p.requires_grad),
            "photographs_learnt_from": len(self.stage.photos),
            "photographs_measured": len(self.stage.measured),
        }
