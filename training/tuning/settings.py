"""What a run of tuning is asked to do: plain data. Must not know torch, photographs or networks.

Every field is also an option of the command line; its ``help`` says what it means, with its unit.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.errors import BadInput
from training.stages.settings import setting

if TYPE_CHECKING:
    from models.spec import NetworkSpec

PRECISIONS = ("float32", "bfloat16")
POOLINGS = ("mac", "spoc", "gem")
LITE = "efficientnet-lite"
LITE_FIGURE = 0.5
"""Mean and deviation of the input with which the weights ``efficientnet-lite`` were trained."""


@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """Network, pictures and learning of a run.

    Raises:
        BadInput: A figure is out of its range.
    """

    backbone: str = setting(
        "timm/tf_efficientnet_lite2", "torchvision's name of a network, or timm/<name>."
    )
    weights: str = setting(
        LITE,
        "Where the trunk's weights come from: efficientnet-lite, imagenet, a name or file that "
        "fits the backbone, or random.",
    )
    size: int = setting(320, "Side in pixels of the squares that the network takes.")
    pooling: str = setting("gem", "How the feature map becomes a vector.", POOLINGS)
    gem_power: float = setting(3.0, "GeM's exponent.")
    dimension: int = setting(256, "Of the embeddings.")
    cut: int = setting(20, "Lowest parts of the trunk that stay as they are, as --freeze counts.")
    regions: tuple[str, ...] = setting(
        ("6:4", "4:3"),
        "Windows that are learnt from and served beside the whole image, as SIDE:STRIDE in cells "
        "of the feature map; repeatable.",
    )
    views: int = setting(4, "Pictures of each photograph, the first of them as it is served.")
    backgrounds: int = setting(2, "Parts beside the firearms of each photograph with boxes.")
    pastes: int = setting(7000, "Firearms that are tried to lay into harmless photographs.")
    epochs: int = setting(3, "Passes over as many pictures as there are.")
    batch: int = setting(96, "Pictures of a step.")
    lr: float = setting(1e-4, "Highest learning rate, of the upper part of the trunk.")
    head_lr_factor: float = setting(3.0, "By which the rate of the head and classifier is higher.")
    weight_decay: float = setting(0.01, "Of AdamW, for matrices and filters.")
    warmup_steps: int = setting(50, "Steps in which the rate rises; then it falls to 0 evenly.")
    scale: float = setting(16.0, "By which cosines are multiplied for the classifier.")
    dropout: float = setting(0.2, "Share of pooled features that the head does not see.")
    tuned_share: float = setting(
        0.5,
        "Share of what was learnt in the weights of the trunk that are kept; the rest is what they "
        "began with, which holds better on photographs of other sources.",
    )
    mirror: bool = setting(True, "Swap left and right of half of the maps.")
    flag_weight: float = setting(1.0, "Of the loss of telling firearms from other things.")
    window_weight: float = setting(0.5, "Of the same loss on windows without a firearm.")
    firearm_window_weight: float = setting(0.15, "Of the same loss on windows with one.")
    hold_out: tuple[str, ...] = setting((), "Source to leave out wholly; repeatable.")
    hold_out_harmless: tuple[str, ...] = setting(
        (), "Source whose harmless photographs are left out; repeatable."
    )
    precision: str = setting("bfloat16", "Of forward and backward passes.", PRECISIONS)
    device: str = setting("auto", "auto, cpu, cuda or cuda:<number>.")
    deterministic: bool = setting(True, "Same machine, same settings: the same weights.")
    seed: int = setting(0, "Of all chance.")
    checkpoint_every: int = setting(200, "Steps between checkpoints within an epoch; 0: none.")
    skip_unreadable: bool = setting(
        True, "Leave out photographs that cannot be read, and say which; else refuse them."
    )
    tensorboard: bool = setting(True, "Write figures for TensorBoard.")
    cache: str | None = setting(None, "Folder of maps, shared by runs.")
    workers: int = setting(2, "Processes that make pictures and maps.")
    threads: int = setting(0, "Threads of each operation on the CPU; 0: as torch chooses.")

    def __post_init__(self) -> None:
        self._check_choices()
        for name, low, high in RANGES:
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise BadInput(f"{option(name)} {value:g} is not in {low:g}..{high:g}")
        self.pairs()

    def _check_choices(self) -> None:
        for known in dataclasses.fields(self):
            choices, value = known.metadata["choices"], getattr(self, known.name)
            if choices and value not in choices:
                raise BadInput(
                    f"{option(known.name)} {value!r} is unknown; choose {', '.join(choices)}"
                )

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the regions as pairs of side and stride, the largest first.

        Raises:
            BadInput: One of them is no such pair.
        """
        found = []
        for text in self.regions:
            side, _, stride = text.partition(":")
            if not (side.isdecimal() and stride.isdecimal() and 1 <= int(stride) <= int(side)):
                raise BadInput(
                    f"--regions {text} is not SIDE:STRIDE, such as 5:4, with no stride above its "
                    "side"
                )
            found.append((int(side), int(stride)))
        return tuple(sorted(found, reverse=True))

    def spec(self) -> "NetworkSpec":
        """Return what the network is made of.

        Raises:
            BadNetwork: A figure is out of its range.
        """
        from models.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec, NetworkSpec

        lite = (LITE_FIGURE, LITE_FIGURE, LITE_FIGURE)
        figures = (lite, lite) if self.weights == LITE else (IMAGENET_MEAN, IMAGENET_STD)
        shape = InputSpec(((self.size, self.size),), *figures)
        names = self.backbone, self.pooling, self.gem_power, self.dimension
        return NetworkSpec(*names, shape, self.pairs())

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return dataclasses.asdict(self)


MANY = 1_000_000
RANGES: tuple[tuple[str, float, float], ...] = (
    ("size", 32, 4096),
    ("gem_power", 1, 100),
    ("dimension", 1, 65_535),
    ("cut", 1, 10_000),
    ("views", 1, 1000),
    ("backgrounds", 0, 1000),
    ("pastes", 0, 10 * MANY),
    ("epochs", 1, 100_000),
    ("batch", 1, 100_000),
    ("lr", 0, 100),
    ("head_lr_factor", 0, MANY),
    ("weight_decay", 0, 10),
    ("warmup_steps", 0, MANY),
    ("scale", 0.1, 1000),
    ("dropout", 0, 0.99),
    ("tuned_share", 0, 1),
    ("flag_weight", 0, 1000),
    ("window_weight", 0, 1000),
    ("firearm_window_weight", 0, 1000),
    ("seed", 0, 2**31 - 1),
    ("checkpoint_every", 0, MANY),
    ("workers", 1, 256),
    ("threads", 0, 256),
)
"""Fields with their least and largest values."""


def option(name: str) -> str:
    """Return the option of a field."""
    return f"--{name.replace('_', '-')}"
