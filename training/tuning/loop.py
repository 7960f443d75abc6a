"""The loop of tuning: steps, checkpoints, and going on. Must not know files of photographs."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from models.network import RetrievalNetwork
from training.errors import BadInput
from training.progress import progress
from training.stages.board import Board
from training.stages.chance import chance, number
from training.stages.checkpoint import load_checkpoint, save_checkpoint
from training.stages.optimiser import named_learning, optimiser_tensors, restore, set_rate
from training.stages.run import Run
from training.stages.vectors import autocast
from training.tuning.blend import Blend
from training.tuning.labels import Classes
from training.tuning.lessons import Lesson, Lessons
from training.tuning.losses import flag_losses, partial_label_loss, window_loss
from training.tuning.mapstore import Places
from training.tuning.settings import TuneSettings
from training.tuning.top import Top

TOP = "top/"
OPTIMISER = "optimiser/"
UPPER = "upper."
"""How names of parameters begin that have the base rate."""


@dataclass
class Position:
    """Where a run stands: ``step`` counts the steps done of the epoch ``epoch`` (from 0).

    ``loss`` is their sum, ``seconds`` are of all steps that were done.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0


class Loop:
    """Steps of a run; ``train`` does what is left of them.

    Args:
        top: What learns, as it is before the first step.
        network: The network whose weights it shares.
        classes: What the classifier tells apart.
        lessons: What is learnt from.
        settings: Of the run.
    """

    def __init__(
        self,
        top: Top,
        network: RetrievalNetwork,
        classes: Classes,
        lessons: Lessons,
        settings: TuneSettings,
    ) -> None:
        self._top, self._network = top, network
        self._lessons, self._settings = lessons, settings
        self._device = network.device
        self._firearm = torch.from_numpy(classes.firearm).to(self._device)
        self._allowed = torch.from_numpy(classes.allowed).to(self._device)
        self._optimiser = make_optimiser(top, settings)
        self._blend = Blend(top.upper, settings.tuned_share)
        self._position = Position()
        self._steps = len(lessons.draw(0, settings.batch))
        self._since = time.monotonic()

    def train(self, run: Run, console: Console) -> dict[str, Any]:
        """Do what is left of a run; returns its figures.

        Raises:
            BadInput: The loss is not finite, or the disk is full.
        """
        self._go_on(run, console)
        position, epochs = self._position, self._settings.epochs
        board: AbstractContextManager[Board | None] = (
            Board(run.tensorboard, position.epoch) if self._settings.tensorboard else nullcontext()
        )
        with board as shown, progress(console, "tuning", epochs * self._steps) as advance:
            advance(position.epoch * self._steps + position.step)
            while position.epoch < epochs:
                self._epoch(run, shown, console, advance)
        images = epochs * self._steps * self._settings.batch
        return {
            "stage": "tune",
            "epochs": epochs,
            "steps_per_epoch": self._steps,
            "loss": self._last,
            "seconds": round(position.seconds, 1),
            "images_per_second": round(images / max(position.seconds, 1e-9), 1),
        }

    def step(self, places: Places, epoch: int, step: int) -> float:
        """Learn from a batch; returns its loss.

        Args:
            places: As ``Lessons.draw`` gives them.
            epoch: From 0; decides chance and rate together with ``step``.
            step: Of the epoch, from 0.
        """
        settings = self._settings
        mirrored = chance(settings.seed, "mirror", epoch, step).random(len(places)) < 0.5
        lesson = self._lessons.lesson(places, mirrored & settings.mirror)
        torch.manual_seed(number(settings.seed, "step", epoch, step))
        self._top.train()
        set_rate(self._optimiser, self._rate(epoch * self._steps + step))
        loss = self.loss(lesson)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        value = float(loss.detach())
        if value - value != 0:
            raise BadInput(
                f"the loss is not finite in epoch {epoch + 1}, step {step + 1}; give a lower --lr "
                "or --precision float32"
            )
        return value

    def loss(self, lesson: Lesson) -> Tensor:
        """Return what is minimised: types, firearm or not, and the same of windows."""
        settings, device = self._settings, self._device
        maps = torch.from_numpy(lesson.maps).to(device).float()
        with autocast(device, settings.precision):
            embeddings = self._top(maps)
        found = self._top.log_probabilities(embeddings)
        allowed = self._allowed[torch.from_numpy(lesson.classes).to(device)]
        shown = torch.from_numpy(lesson.firearm).to(device)
        types = partial_label_loss(found[:, 0], allowed)
        flags = flag_losses(found[:, 0], self._firearm, shown).mean()
        parts = window_loss(
            found[:, 1:],
            self._firearm,
            torch.from_numpy(lesson.windows).to(device),
            firearm_weight=settings.firearm_window_weight,
            harmless_weight=settings.window_weight,
        )
        return types + settings.flag_weight * flags + parts

    def _epoch(
        self, run: Run, board: Board | None, console: Console, advance: Callable[[int], None]
    ) -> None:
        position, every = self._position, self._settings.checkpoint_every
        self._since = time.monotonic()
        for places in self._lessons.draw(position.epoch, self._settings.batch)[position.step :]:
            position.loss += self.step(places, position.epoch, position.step)
            position.step += 1
            advance(1)
            if every and position.step % every == 0 and position.step < self._steps:
                self._save(run)
        self._last = position.loss / self._steps
        position.epoch, position.step, position.loss = position.epoch + 1, 0, 0.0
        with self._blend.applied():
            run.keep(self._network)
        self._clock()
        line = {"epoch": position.epoch, "loss": self._last, "seconds": round(position.seconds, 3)}
        run.log(line)
        self._save(run)
        if board is not None:
            board.add(line, position.epoch)
        console.print(f"epoch {position.epoch}: loss {self._last:.4f}", highlight=False)

    def _rate(self, done: int) -> float:
        """Return the rate after ``done`` steps: up over the warm-up, down to 0 over the run."""
        settings, total = self._settings, self._settings.epochs * self._steps
        warm = min(1.0, (done + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
        return settings.lr * warm * (1 - done / total)

    def _save(self, run: Run) -> None:
        self._clock()
        tensors = {f"{TOP}{n}": t for n, t in self._top.state_dict().items()}
        memory = optimiser_tensors(self._top, self._optimiser)
        tensors |= {f"{OPTIMISER}{n}": t for n, t in memory.items()}
        save_checkpoint(run.last, tensors, {**asdict(self._position), "last": self._last})

    def _go_on(self, run: Run, console: Console) -> None:
        """Take up the checkpoint, if there is one."""
        self._last = 0.0
        found = load_checkpoint(run.last)
        if found is None:
            run.keep_epochs(0)
            return
        tensors, state = found
        self._last = state.pop("last")
        self._position = Position(**state)
        self._top.load_state_dict(_under(TOP, tensors))
        restore(self._top, self._optimiser, _under(OPTIMISER, tensors))
        # A line is written before the checkpoint that counts its epoch.
        run.keep_epochs(self._position.epoch)
        where = f"epoch {self._position.epoch}, step {self._position.step}"
        console.print(f"going on after {where}", highlight=False)

    def _clock(self) -> None:
        now = time.monotonic()
        self._position.seconds += now - self._since
        self._since = now


def make_optimiser(top: Top, settings: TuneSettings) -> torch.optim.Optimizer:
    """Return AdamW of all that learns: the trunk's part at the base rate, the rest at the head's.

    Biases and norms do not decay.
    """
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in named_learning(top):
        groups.setdefault((name.startswith(UPPER), parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "factor": 1.0 if upper else settings.head_lr_factor,
                "weight_decay": settings.weight_decay if decays else 0.0,
            }
            for (upper, decays), parameters in groups.items()
        ],
        lr=settings.lr,
    )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
