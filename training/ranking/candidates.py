"""The networks that are evaluated: trained ones, and untrained ones to compare them with.

Must not know figures of merit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from models.spec import IMAGENET_MEAN, IMAGENET_STD
from training.data.sets import RetrievalData
from training.errors import BadInput
from training.folder import dataset_digest
from training.method.catalogue import figures_of

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

DOUBLE = "contrastive-double"


class Candidate(Protocol):
    """A network and what results say of it."""

    @property
    def label(self) -> str:
        """Networks of one label are of one kind and are averaged."""
        ...

    @property
    def neighbours(self) -> int:
        """Neighbours that entries and queries are averaged with; 0: none."""
        ...

    def load(self) -> "RetrievalNetwork":
        """Return the network, in evaluation mode on the CPU."""
        ...

    def fits(self, data: RetrievalData) -> bool:
        """Return whether it may be tested there: whether it learnt none of that test's types."""
        ...

    def described(self) -> dict[str, Any]:
        """Return ``seed`` and what else there is to say, plain JSON."""
        ...


@dataclass(frozen=True)
class Trained:
    """The best network of a run's directory, or that of a release.

    Args:
        label: See ``Candidate``.
        folder: Of the run or release.
        trusted: Test it on any split, whatever its settings say it learnt.
        neighbours: See ``Candidate``.
    """

    label: str
    folder: Path
    trusted: bool = False
    neighbours: int = 0

    def load(self) -> "RetrievalNetwork":
        """Return the network.

        Raises:
            BadInput: There is none, or it is damaged.
        """
        from training.stages.trained import load_trained

        return load_trained(self.folder)

    def fits(self, data: RetrievalData) -> bool:
        """Return whether it learnt the photographs that this split gives to training.

        A directory that says nothing of its data, as a release's, is taken at the user's word.
        """
        learnt = self._settings().get("data")
        return self.trusted or learnt is None or learnt in _digests(data)

    def described(self) -> dict[str, Any]:
        """Return the run's name, stage, seed and objective, and its two margins where it has."""
        settings = self._settings()
        names = ("stage", "objective", "figures", "sampling", "augmentation", "epochs",
                 "harmless_per_batch", "faithful")  # fmt: skip
        about: dict[str, Any] = {
            "run": self.folder.resolve().name,
            "seed": settings.get("seed"),
            **{name: settings[name] for name in names if name in settings},
        }
        if settings.get("objective") == DOUBLE:
            found = figures_of(DOUBLE, dict(settings.get("figures", ())))
            about["margins"] = [found["positive_margin"], found["negative_margin"]]
        return about

    def _settings(self) -> dict[str, Any]:
        file = self.folder / "settings.json"
        if not file.is_file():
            return {}
        try:
            settings = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{file} cannot be read: {error}") from None
        if not isinstance(settings, dict):
            raise BadInput(f"{file} does not hold a run's settings; give a run's directory")
        return settings


@dataclass(frozen=True)
class OffTheShelf:
    """A backbone as others trained it.

    Args:
        backbone: See ``models.spec.NetworkSpec``.
        weights: See ``models.weights.load_backbone_weights``.
        pooling: ``mac``, ``spoc`` or ``gem``.
        size: Longest side of the input in pixels; the aspect ratio is kept.
        mean: Of the input, see ``models.spec.InputSpec``.
        std: Likewise.
        neighbours: See ``Candidate``.
    """

    backbone: str
    weights: str | None
    pooling: str
    size: int
    mean: tuple[float, float, float] = field(default=IMAGENET_MEAN)
    std: tuple[float, float, float] = field(default=IMAGENET_STD)
    neighbours: int = 0

    @property
    def label(self) -> str:
        """The pooling, as in the paper's tables."""
        return self.pooling

    def load(self) -> "RetrievalNetwork":
        """Return the network.

        Raises:
            ModelError: There is no such backbone, or no such weights.
        """
        from models.network import RetrievalNetwork
        from models.spec import InputSpec, NetworkSpec
        from models.weights import load_backbone_weights
        from training.stages.buckets import buckets

        given = InputSpec(buckets(self.size), self.mean, self.std)
        network = RetrievalNetwork(NetworkSpec(self.backbone, self.pooling, 3.0, None, given))
        load_backbone_weights(network.trunk, self.backbone, self.weights)
        return network.eval()

    def fits(self, data: RetrievalData) -> bool:
        """Return whether it may be tested there: always, as it learnt none of our photographs."""
        del data
        return True

    def described(self) -> dict[str, Any]:
        """Return that it was not trained here."""
        weights = None if self.weights is None else Path(self.weights).name
        return {"run": None, "seed": None, "stage": "off the shelf", "weights": weights}


def named_runs(texts: Sequence[str], *, trusted: bool = False) -> list[Trained]:
    """Read ``LABEL=DIR``, or ``DIR`` whose name is then the label.

    Raises:
        BadInput: A directory is not there, or one is named twice.
    """
    found: list[Trained] = []
    for text in texts:
        label, equals, place = text.partition("=")
        folder = Path(place if equals else text)
        if not folder.is_dir():
            raise BadInput(f"--run {text}: {folder} is no directory; give LABEL=DIR of a run")
        if any(known.folder == folder for known in found):
            raise BadInput(f"--run {text} is named twice; name it once")
        found.append(Trained(label if equals else folder.resolve().name, folder, trusted))
    return found


def _digests(data: RetrievalData) -> set[str]:
    """Return what a run may have written of this split, with harmless photographs and without."""
    from training.stages.readable import used

    alone = replace(data, harmless=())
    return {dataset_digest(tuple(used(each))) for each in (alone, data)}
