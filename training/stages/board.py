"""TensorBoard's files. Knows nothing of what the figures mean."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from training.errors import BadInput


class Board:
    """Writes figures by epoch; opened by ``with``.

    Args:
        folder: Of TensorBoard's files.
        epoch: From here on what an interrupted run wrote is not shown.

    Raises:
        BadInput: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self._folder = folder
        self._epoch = epoch

    def __enter__(self) -> Self:
        """Open the files."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise BadInput(
                "TensorBoard is not installed; install moderator[training], or give "
                "--no-tensorboard"
            ) from None
        self._writer = SummaryWriter(str(self._folder), purge_step=self._epoch + 1)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._writer.close()

    def add(self, figures: Mapping[str, float], epoch: int) -> None:
        """Write figures of an epoch."""
        for name, value in figures.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
