"""The loop of training: steps, checkpoints, validation, the best network. Knows no method.

What a stage learns from and minimises comes with it. All chance depends on the position in the
run, so a run that goes on after a crash gives the same weights as one that never stopped.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console

from training.errors import BadInput
from training.progress import progress
from training.stages.board import Board
from training.stages.checkpoint import load_checkpoint, save_checkpoint
from training.stages.gradients import add_gradients, agree_on_statistics, sum_gradients
from training.stages.learning import Learning
from training.stages.optimiser import (
    learning_mode,
    make_optimiser,
    optimiser_tensors,
    rate,
    restore,
    set_rate,
)
from training.stages.run import Run

MODEL = "model/"
OPTIMISER = "optimiser/"


@dataclass
class Position:
    """Where a run stands: all that a checkpoint holds beside tensors.

    ``step`` counts the batches done of the epoch ``epoch`` (from 0); ``loss`` is their sum.
    ``best_epoch`` counts from 1; 0 means none yet. ``seconds`` are of all that was
    done, ``images`` those that were learnt from.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    best: float = float("-inf")
    best_epoch: int = 0
    seconds: float = 0.0
    images: int = 0
    began: bool = False
    scale: dict[str, Any] | None = None


class Loop:
    """One run; ``train`` does what is left of it.

    Args:
        learning: The stage at work.
        run: Its directory; only the first process writes.
        console: For progress, of the first process.
    """

    def __init__(self, learning: Learning, run: Run, console: Console) -> None:
        self._learning = learning
        self._model = learning.model
        self._stage = learning.stage
        self._settings = settings = learning.settings
        self._world = world = learning.world
        self._run = run
        self._console = console
        self._optimiser = make_optimiser(self._model, settings)
        self._scaler = torch.amp.GradScaler(
            world.device.type, enabled=settings.precision == "float16"
        )
        self._position = Position()
        self._since = time.monotonic()
        self._figures: dict[str, float] = {}

    def train(self) -> Position:
        """Do what is left of the run; returns where it ended."""
        self._go_on()
        steps = len(self._stage.batches(0))
        with (
            self._writing(Board(self._run.tensorboard, self._position.epoch)) as board,
            progress(self._console, self._stage.name, self._settings.epochs * steps) as advance,
        ):
            advance(self._position.epoch * steps + self._position.step)
            if not self._position.began:
                self._stage.begin(self._learning.embed)
                self._measure(board, 0, {})
                self._position.began = True
                self._save()
            while self._position.epoch < self._settings.epochs and not self._stale():
                self._epoch(board, advance)
        return self._position

    def _go_on(self) -> None:
        """Take up the checkpoint, if there is one."""
        found = load_checkpoint(self._run.last)
        self._since = time.monotonic()
        if found is None:
            if self._world.first:
                self._run.keep_epochs(0)
            return
        tensors, state = found
        self._position = Position(**state)
        self._model.load_state_dict(_under(MODEL, tensors))
        restore(self._model, self._optimiser, _under(OPTIMISER, tensors))
        if self._position.scale:
            self._scaler.load_state_dict(self._position.scale)
        if self._world.first:
            # A line is written before the checkpoint that counts its epoch.
            self._run.keep_epochs(self._position.epoch + 1)
        self._say(f"going on after epoch {self._position.epoch}, step {self._position.step}")

    def _epoch(self, board: "Board | None", advance: Callable[[int], None]) -> None:
        position, settings = self._position, self._settings
        batches = self._stage.batches(position.epoch)
        learning_mode(self._model.network, settings)
        self._model.head.train()
        self._optimiser.zero_grad(set_to_none=True)
        left = list(enumerate(batches))[position.step :]
        with _closing(self._learning.feed.batches(position.epoch, left)) as coming:
            for ready in coming:
                group = self._group(len(batches), ready.step)
                position.loss += add_gradients(
                    self._model,
                    self._stage,
                    ready,
                    settings,
                    self._world,
                    epoch=position.epoch,
                    weight=self._scale() / group,
                )
                self._check(position.loss)
                position.images += len(ready.batch.places)
                position.step = ready.step + 1
                advance(1)
                if position.step % settings.accumulate == 0 or position.step == len(batches):
                    self._step(len(batches))
        self._end_epoch(board, len(batches))

    def _scale(self) -> float:
        """Return by what losses are multiplied so that gradients fit into float16."""
        return float(self._scaler.scale(torch.ones((), device=self._world.device)))

    def _group(self, batches: int, step: int) -> int:
        """Return of how many batches the gradients are joined at this step."""
        begin = step // self._settings.accumulate * self._settings.accumulate
        return min(self._settings.accumulate, batches - begin)

    def _step(self, batches: int) -> None:
        position, settings = self._position, self._settings
        sum_gradients(self._model, self._world)
        set_rate(self._optimiser, rate(settings, position.epoch + self._done(batches)))
        self._scaler.unscale_(self._optimiser)
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad(set_to_none=True)
        if not settings.freeze_norms:
            agree_on_statistics(self._model, self._world)
        steps = position.step // settings.accumulate
        if (
            settings.checkpoint_every
            and steps % settings.checkpoint_every == 0
            and position.step < batches
        ):
            self._save()

    def _done(self, batches: int) -> float:
        """Return the share of the epoch before the step that is being taken."""
        size = self._settings.accumulate
        return (self._position.step - 1) // size * size / batches

    def _end_epoch(self, board: "Board | None", batches: int) -> None:
        position = self._position
        lr = rate(self._settings, position.epoch)
        position.epoch += 1
        figures = {"loss": position.loss / batches, "lr": lr}
        better = self._measure(board, position.epoch, figures)
        if better:
            position.best = self._figures[self._stage.judged_by]
            position.best_epoch = position.epoch
            if self._world.first:
                self._run.keep(self._model.network)
        position.step, position.loss = 0, 0.0
        self._save()

    def _measure(self, board: "Board | None", epoch: int, figures: dict[str, float]) -> bool:
        """Validate and tell of it; returns whether the network is the best so far."""
        begin = time.monotonic()
        found = dict(self._stage.figures(self._learning.embed))
        judged = self._stage.judged_by
        # Of one process, so that all decide alike whatever the rounding.
        found[judged] = self._world.same_for_all(found[judged])
        self._figures = found
        line = {"epoch": epoch, **figures, **found, "seconds": round(self._seconds(), 3),
                "validation_seconds": round(time.monotonic() - begin, 3)}  # fmt: skip
        if self._world.first:
            self._run.log(line)
        if board is not None:
            board.add(line, epoch)
        self._say(self._told(line))
        return found[judged] > self._position.best

    def _told(self, line: dict[str, float]) -> str:
        words = [f"{name} {value:.4g}" for name, value in line.items()
                 if name not in ("epoch", "seconds", "validation_seconds")]  # fmt: skip
        left = self._settings.epochs - line["epoch"]
        until = ""
        if line["epoch"] and left:
            until = f", {_minutes(line['seconds'] / line['epoch'] * left)} left at most"
        return f"epoch {line['epoch']} of {self._settings.epochs}: {', '.join(words)}{until}"

    def _stale(self) -> bool:
        waited = self._position.epoch - self._position.best_epoch
        return bool(self._settings.patience) and waited >= self._settings.patience

    def _save(self) -> None:
        if self._world.first:
            position = self._position
            position.seconds, self._since = self._seconds(), time.monotonic()
            position.scale = self._scaler.state_dict() or None
            tensors = {f"{MODEL}{k}": v for k, v in self._model.state_dict().items()}
            memory = optimiser_tensors(self._model, self._optimiser)
            tensors |= {f"{OPTIMISER}{k}": v for k, v in memory.items()}
            save_checkpoint(self._run.last, tensors, asdict(position))
        self._world.wait()

    def _seconds(self) -> float:
        return self._position.seconds + time.monotonic() - self._since

    def _check(self, loss: float) -> None:
        if loss - loss != 0:
            raise BadInput(
                f"the loss is not finite in epoch {self._position.epoch + 1}, step "
                f"{self._position.step + 1}; give a lower --lr or another --precision"
            )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def _writing(self, board: Board) -> "AbstractContextManager[Board | None]":
        return board if self._world.first and self._settings.tensorboard else nullcontext()


class _closing(AbstractContextManager[Iterator[Any]]):  # noqa: N801 - reads as a function
    """As ``contextlib.closing``, of a generator typed as an iterator."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator

    def __enter__(self) -> Iterator[Any]:
        return self._iterator

    def __exit__(self, *_: object) -> None:
        self._iterator.close()  # type: ignore[attr-defined]


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
