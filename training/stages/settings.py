"""What a run of training is asked to do: plain data with the paper's figures as defaults.

Must not know torch, photographs or networks. Every field is also an option of the command line;
its ``help`` says what it means, with its unit.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from training.errors import BadInput
from training.method.catalogue import OBJECTIVES, figures_of

PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMISERS = ("sgd", "adamw")
SCHEDULES = ("step", "cosine", "constant")
AUGMENTATIONS = ("paper", "mild", "strong", "none")
SAMPLINGS = ("pairs", "triplets", "balanced")
POOLINGS = ("mac", "spoc", "gem")
PAIRWISE = ("contrastive-single", "contrastive-double")
"""Objectives that judge pairs one by one."""

BALANCED_ONLY = ("types_per_batch", "images_per_type", "batches_per_epoch")
DRAWN_ONLY = ("positives_per_type", "negatives_per_type", "regenerate_every")

LEAST_SIDE = 32
MOST_SIDE = 4096
ANYWHERE = ("cache", "checkpoint_every", "skip_unreadable", "tensorboard", "workers")
"""Settings that change nothing in the weights: a run may go on with others."""


def setting(default: Any, help_: str, choices: tuple[str, ...] = ()) -> Any:
    """Return a dataclass field with its help and, if only some values may be, its choices."""
    return field(default=default, metadata={"help": help_, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What both stages share. Defaults are the paper's where it says anything.

    Raises:
        BadInput: A figure is out of its range.

    Source: Hao et al., DeepFirearm, ICPR 2018, the author's thesis and the released code.
    """

    epochs: int = setting(30, "Passes over what is drawn to learn from.")
    batch: int = setting(64, "Pairs, triplets or images of one forward pass, on all processes.")
    accumulate: int = setting(1, "Forward passes whose gradients make one step.")
    optimiser: str = setting("sgd", "What takes the steps.", OPTIMISERS)
    lr: float = setting(1e-3, "Learning rate at the start.")
    head_lr_factor: float = setting(
        1.0, "By which the rate of the head, the classifier and the objective is multiplied."
    )
    momentum: float = setting(0.9, "Of SGD; the first beta of AdamW.")
    weight_decay: float = setting(5e-4, "Of SGD for all; AdamW spares biases and norms.")
    schedule: str = setting("step", "How the learning rate falls.", SCHEDULES)
    step_epochs: int = setting(10, "Epochs after which schedule step lowers the rate.")
    step_factor: float = setting(0.1, "By which schedule step multiplies the rate.")
    warmup_epochs: float = setting(0.0, "Epochs in which the rate rises from 0, whatever follows.")
    clip: float = setting(0.0, "Largest norm of a gradient; 0: no limit.")
    init: str = setting(
        "imagenet",
        "Where the weights come from: imagenet, a name or file that fits the backbone, "
        "efficientnet-lite, a run's directory, or random.",
    )
    freeze: int = setting(0, "Lowest parts of the trunk that stay as they are.")
    freeze_norms: bool = setting(True, "Let batch norms keep their statistics.")
    smallest: int = setting(256, "Least longest side in pixels of a batch's images.")
    largest: int = setting(384, "Largest longest side in pixels of a batch's images.")
    size_step: int = setting(8, "Pixels between the longest sides that may be drawn.")
    bucket_step: int = setting(32, "Pixels between the shorter sides of images of one batch.")
    keep_aspect: bool = setting(True, "Keep each image's aspect ratio; else all become squares.")
    augmentation: str = setting("paper", "How pictures are varied.", AUGMENTATIONS)
    harmless_per_batch: int = setting(
        0, "Photographs without firearms that join each batch, with labels of their kinds."
    )
    precision: str = setting("float32", "Of forward and backward passes.", PRECISIONS)
    device: str = setting("auto", "auto, cpu, cuda or cuda:<number>.")
    deterministic: bool = setting(True, "Same machine, same settings: the same weights.")
    seed: int = setting(0, "Of all chance.")
    patience: int = setting(0, "Epochs without a better figure after which to stop; 0: never.")
    checkpoint_every: int = setting(200, "Steps between checkpoints within an epoch; 0: none.")
    skip_unreadable: bool = setting(
        True, "Leave out photographs that cannot be read, and say which; else refuse them."
    )
    tensorboard: bool = setting(True, "Write figures for TensorBoard.")
    cache: str | None = setting(None, "Folder of decoded photographs, shared by runs.")
    workers: int = setting(2, "Threads that make pictures ready.")
    threads: int = setting(0, "Threads of each operation on the CPU; 0: as torch chooses.")

    def __post_init__(self) -> None:
        self._check_choices()
        for name, low, high in self._ranges():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise BadInput(f"{_option(name)} {value:g} is not in {low:g}..{high:g}")
        if self.smallest > self.largest:
            raise BadInput(
                f"--smallest {self.smallest} is above --largest {self.largest}; swap them"
            )

    def _check_choices(self) -> None:
        for known in dataclasses.fields(self):
            choices, value = known.metadata["choices"], getattr(self, known.name)
            if choices and value not in choices:
                raise BadInput(
                    f"{_option(known.name)} {value!r} is unknown; choose {', '.join(choices)}"
                )

    def _ranges(self) -> tuple[tuple[str, float, float], ...]:
        """Return the fields with their least and largest values."""
        large = 1_000_000
        return (
            ("epochs", 1, 100_000),
            ("batch", 1, 100_000),
            ("accumulate", 1, 100_000),
            ("lr", 0, 100),
            ("head_lr_factor", 0, large),
            ("momentum", 0, 0.9999),
            ("weight_decay", 0, 10),
            ("step_epochs", 1, 100_000),
            ("step_factor", 0, 1),
            ("warmup_epochs", 0, self.epochs),
            ("clip", 0, large),
            ("freeze", 0, 10_000),
            ("smallest", LEAST_SIDE, MOST_SIDE),
            ("largest", LEAST_SIDE, MOST_SIDE),
            ("size_step", 1, MOST_SIDE),
            ("bucket_step", 1, MOST_SIDE),
            ("harmless_per_batch", 0, 100_000),
            ("seed", 0, 2**31 - 1),
            ("patience", 0, 100_000),
            ("checkpoint_every", 0, large),
            ("workers", 1, 256),
            ("threads", 0, 256),
        )

    @classmethod
    def paper(cls) -> Self:
        """Return the paper's figures, which are the defaults."""
        return cls()

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return dataclasses.asdict(self)

    def idle(self) -> dict[str, str]:
        """Return options that change nothing in such a run, each with what makes it so."""
        idle: dict[str, str] = {}
        if self.schedule != "step":
            idle |= dict.fromkeys(
                ("step_epochs", "step_factor"), f"with --schedule {self.schedule}"
            )
        if self.smallest == self.largest:
            idle["size_step"] = "with --smallest and --largest alike"
        if not self.keep_aspect:
            idle["bucket_step"] = "with --no-keep-aspect"
        return idle


@dataclass(frozen=True, kw_only=True)
class PaperSettings(Settings):
    """What the paper's two stages share.

    By default four things differ from the authors' released code, all so that the images of a
    batch go through a network together: a batch has one longest side, and a photograph that is in
    several of its pairs is varied once; shorter sides are rounded to multiples of ``bucket_step``;
    pictures are resized with the filter that serves (bicubic) and turned by the nearest pixel; and
    stage 1's classifier begins as torch draws it. ``faithful`` does all of it as the authors do.
    Two things stay: photographs are kept decoded at 1.25 times the largest side, and validation
    takes images as they are served.
    """

    faithful: bool = setting(
        False,
        "Vary pictures as the authors' released code: a size for each, both of a pair too, sides "
        "not rounded, bilinear filters; and begin stage 1's classifier as it does. Slower, as few "
        "pictures of a batch share a shape; --bucket-step is then of validation only.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.faithful and self.augmentation != "paper":
            raise BadInput(
                f"--faithful varies pictures as the paper; leave out --augmentation "
                f"{self.augmentation}, or --faithful"
            )
        if self.faithful and not self.keep_aspect:
            raise BadInput("--faithful keeps the aspect; leave out --no-keep-aspect, or --faithful")

    def idle(self) -> dict[str, str]:
        """Return options that change nothing in such a run, each with what makes it so."""
        idle = {"untyped": "here: only distil learns from firearms of no known type"}
        if not self.harmless_per_batch and self.augmentation != "strong":
            idle["harmless"] = "without --harmless-per-batch or --augmentation strong"
        return {**super().idle(), **idle}


def is_faithful(settings: Settings) -> bool:
    """Return whether a run does as the authors' released code; see ``PaperSettings``."""
    return isinstance(settings, PaperSettings) and settings.faithful


@dataclass(frozen=True, kw_only=True)
class ClassifySettings(PaperSettings):
    """Stage 1: learn to tell types, as classes.

    Text and released code differ in the batch (128, 64) and in the class weights, which cancel
    in the code as its loss is taken image by image: ``released_code()`` gives the code's, and
    what ``faithful`` changes.
    """

    epochs: int = setting(50, "Passes over the photographs.")
    batch: int = setting(128, "Images of one forward pass, on all processes; released code: 64.")
    step_epochs: int = setting(30, "Epochs after which schedule step lowers the rate.")
    dropout: float = setting(0.5, "Share of features that the classifier does not see.")
    feature_scale: float = setting(
        1.0,
        "By which features are multiplied before the classifier; where they are long at the start "
        "(feature_length in progress.jsonl), as SqueezeNet's, about 50 over that length.",
    )
    class_weights: bool = setting(True, "Weigh types by how few their photographs are.")
    cancel_class_weights: bool = setting(
        False, "Take the weighted loss per image, as the released code: the weights cancel."
    )
    learn_share: float = setting(0.7, "Of each type's photographs, to learn from.")

    def _ranges(self) -> tuple[tuple[str, float, float], ...]:
        return (
            *super()._ranges(),
            ("dropout", 0, 0.99),
            ("feature_scale", 1e-6, 1e6),
            ("learn_share", 0.01, 0.99),
        )

    def idle(self) -> dict[str, str]:
        """Return options that change nothing in such a run, each with what makes it so."""
        weights = {} if self.class_weights else {"cancel_class_weights": "with --no-class-weights"}
        return {**super().idle(), **weights}

    @classmethod
    def released_code(cls) -> Self:
        """Return the figures of the released code, where it differs from the paper's text."""
        return cls(batch=64, cancel_class_weights=True, faithful=True)


@dataclass(frozen=True, kw_only=True)
class RetrieveSettings(PaperSettings):
    """Stage 2: bring photographs of one type together and push others apart."""

    objective: str = setting("contrastive-double", "What is minimised.", tuple(OBJECTIVES))
    sampling: str = setting("pairs", "What a batch is made of.", SAMPLINGS)
    positives_per_type: int = setting(180, "Positive pairs, or triplets, drawn for each type.")
    negatives_per_type: int = setting(180, "Negative pairs drawn for each type.")
    regenerate_every: int = setting(5, "Epochs after which pairs or triplets are drawn anew.")
    types_per_batch: int = setting(16, "Types in a balanced batch.")
    images_per_type: int = setting(4, "Photographs of each of them.")
    batches_per_epoch: int = setting(100, "Balanced batches that make an epoch.")
    figures: tuple[tuple[str, float | str], ...] = setting(
        (), "Figure of the objective as NAME=VALUE, such as negative_margin=1.2; repeatable."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_figures()
        if self.sampling == "pairs" and self.objective not in PAIRWISE:
            raise BadInput(
                f"--objective {self.objective} does not judge pairs; give --sampling balanced"
            )
        if self.sampling == "triplets" and self.objective != "triplet":
            raise BadInput(
                f"--objective {self.objective} does not judge triplets; give --sampling balanced"
            )
        if self.sampling != "balanced" and self.harmless_per_batch:
            raise BadInput(
                f"--harmless-per-batch does not go with --sampling {self.sampling}; "
                "give --sampling balanced"
            )

    def _check_figures(self) -> None:
        names = [name for name, _ in self.figures]
        for name, value in self.figures:
            if names.count(name) > 1:
                raise BadInput(f"--figure {name} is given twice; give it once")
            if name == "mining" and self.sampling != "balanced":
                raise BadInput(
                    f"--figure mining={value} has no effect with --sampling {self.sampling}, which "
                    "draws what is compared; leave it out, or give --sampling balanced"
                )
        figures_of(self.objective, dict(self.figures))

    def idle(self) -> dict[str, str]:
        """Return options that change nothing in such a run, each with what makes it so."""
        names = {
            "pairs": BALANCED_ONLY,
            "triplets": (*BALANCED_ONLY, "negatives_per_type"),
            "balanced": ("batch", *DRAWN_ONLY),
        }[self.sampling]
        return {
            **super().idle(),
            **dict.fromkeys(names, f"with --sampling {self.sampling}"),
        }

    def _ranges(self) -> tuple[tuple[str, float, float], ...]:
        return (
            *super()._ranges(),
            ("positives_per_type", 1, 1_000_000),
            ("negatives_per_type", 0, 1_000_000),
            ("regenerate_every", 1, 100_000),
            ("types_per_batch", 2, 100_000),
            ("images_per_type", 2, 100_000),
            ("batches_per_epoch", 1, 1_000_000),
        )


@dataclass(frozen=True, kw_only=True)
class DistilSettings(Settings):
    """Beyond the paper: learn what a larger network says of photographs."""

    epochs: int = setting(8, "Passes over as many photographs as there are.")
    batch: int = setting(96, "Images of one forward pass, on all processes.")
    optimiser: str = setting("adamw", "What takes the steps.", OPTIMISERS)
    lr: float = setting(2e-4, "Highest learning rate.")
    head_lr_factor: float = setting(
        5.0, "By which the rate of the head and of types is higher; they begin near their best."
    )
    weight_decay: float = setting(1e-4, "Of SGD for all; AdamW spares biases and norms.")
    schedule: str = setting("cosine", "How the learning rate falls.", SCHEDULES)
    warmup_epochs: float = setting(0.5, "Epochs in which the rate rises from 0.")
    augmentation: str = setting(
        "mild", "How pictures are varied; the teacher sees each as it is.", AUGMENTATIONS
    )
    teacher: str = setting(
        "timm/tf_efficientnet_lite2", "The teacher: torchvision's name of it, or timm/<name>."
    )
    teacher_weights: str = setting(
        "efficientnet-lite",
        "Where its weights come from: efficientnet-lite, imagenet, a name or file that fits it, "
        "or the directory of a run, which then is the teacher.",
    )
    teacher_size: int = setting(260, "Side in pixels of the squares that it takes.")
    teacher_pooling: str = setting("gem", "How its feature map becomes a vector.", POOLINGS)
    similarity_weight: float = setting(
        40.0, "Of the loss of similarities between photographs, beside that of embeddings."
    )
    label_weight: float = setting(1.0, "Of the loss of telling types apart; 0: without types.")

    def _ranges(self) -> tuple[tuple[str, float, float], ...]:
        return (
            *super()._ranges(),
            ("teacher_size", LEAST_SIDE, MOST_SIDE),
            ("similarity_weight", 0, 1_000_000),
            ("label_weight", 0, 1_000_000),
        )

    def idle(self) -> dict[str, str]:
        """Return options that change nothing in such a run, each with what makes it so."""
        names = ("teacher", "teacher_size", "teacher_pooling")
        why = "with a directory as --teacher-weights, whose network is the teacher"
        teacher = dict.fromkeys(names, why) if Path(self.teacher_weights).is_dir() else {}
        return {**super().idle(), **teacher}


def changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Return what differs between a run's settings and those it is to go on with, in words.

    Settings that change nothing in the weights are not looked at.
    """
    if "faithful" in now:
        # Runs from before it was there were not.
        before = {"faithful": False, **before}
    names = [name for name in {**before, **now} if name not in ANYWHERE]
    return [
        f"{_option(name)} {before.get(name)} then, {now.get(name)} now"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
