"""The directory of a run: what was asked, how it goes, and the best network. Knows no method.

``settings.json``, ``progress.jsonl`` with a line per epoch, ``tensorboard/``, ``last/`` (the
checkpoint), ``best/`` with the two files of a network as in a release, and ``result.json``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import BadInput
from training.stages.checkpoint import write_whole
from training.stages.settings import changed

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

NETWORK = "network.json"
WEIGHTS = "weights.safetensors"


class Run:
    """A run's directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = folder / "last"
        self.best = folder / "best"
        self.tensorboard = folder / "tensorboard"

    def check(self, asked: Mapping[str, Any], *, resume: bool) -> None:
        """Refuse a directory in which this run can neither begin nor go on; writes nothing.

        Args:
            asked: Settings, and what the run is of; plain data.
            resume: Whether a run that is there goes on; where there is none, one begins.

        Raises:
            BadInput: There is a run and it is not to go on, or it was asked for something else.
        """
        file = self.folder / "settings.json"
        if not file.is_file():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise BadInput(f"{self.folder} is no run's directory; give another --out")
            return
        if not resume:
            raise BadInput(f"{self.folder} holds a run already; give another --out, or --resume")
        before = _json(file)
        # What was asked may hold tuples, which JSON gives back as lists.
        differences = changed(json.loads(json.dumps(asked)), before)
        if differences:
            raise BadInput(
                f"{self.folder} was begun with other settings: {'; '.join(differences)}; "
                "give the same ones, or another --out"
            )

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Write what was asked, unless the run goes on."""
        if not (self.folder / "settings.json").is_file():
            self._write("settings.json", asked)

    def result(self) -> dict[str, Any] | None:
        """Return the result of a run that has ended, else None."""
        file = self.folder / "result.json"
        return _json(file) if file.is_file() else None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, which says that the run has ended."""
        self._write("result.json", result)

    def keep_epochs(self, count: int) -> None:
        """Drop the lines of epochs that were done after the checkpoint."""
        file = self.folder / "progress.jsonl"
        if file.is_file():
            lines = file.read_text("utf-8").splitlines()[:count]
            write_whole(file, "".join(f"{line}\n" for line in lines).encode())

    def log(self, figures: Mapping[str, Any]) -> None:
        """Add an epoch's line."""
        with (self.folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(figures)}\n")

    def keep(self, network: "RetrievalNetwork") -> None:
        """Replace the best network."""
        from safetensors.torch import save

        from models.network import released_tensors

        write_whole(self.best / WEIGHTS, save(released_tensors(network, half=False)))
        text = json.dumps(network.spec.to_json(), indent=2)
        write_whole(self.best / NETWORK, f"{text}\n".encode())

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        write_whole(self.folder / name, f"{json.dumps(content, indent=2)}\n".encode())


def _json(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read ({error}); start anew in another --out") from None
    return content
