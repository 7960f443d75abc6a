"""The head of a release: linear logits over types and kinds of look-alikes. Must not know torch.

It reads the pooled features of the trunk that the embedding is made of, so that one pass gives
both. A release keeps its weights in ``head.safetensors`` and its classes in ``types.json``.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models import manifest as manifests
from models.errors import BadRelease

FILE = "head.safetensors"
TYPES = "types.json"

HeadKind = Literal["firearm", "lookalike"]
KINDS: tuple[HeadKind, ...] = get_args(HeadKind)

MAX_LOGIT = 30_000.0
"""Logits are kept in float16, which ends at 65,504; a head that could give more is refused."""


@dataclass(frozen=True, slots=True)
class HeadClass:
    """What a logit speaks of: a type of firearm, or a kind of look-alike."""

    name: str
    kind: HeadKind


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier of C classes on L2-normalised features of F channels.

    Args:
        weight: float32[C, F].
        bias: float32[C].
        classes: C names with their kinds, no pair twice, of each kind one at least.

    Raises:
        BadRelease: They do not fit each other, or are not finite.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    classes: tuple[HeadClass, ...]

    def __post_init__(self) -> None:
        shapes = self.weight.shape, self.bias.shape
        count = len(self.classes)
        if len(shapes[0]) != 2 or shapes != ((count, shapes[0][1]), (count,)):
            raise BadRelease(
                f"the head's weight {shapes[0]} and bias {shapes[1]} do not fit {count} classes"
            )
        if not {self.weight.dtype, self.bias.dtype} == {np.dtype(np.float32)}:
            raise BadRelease(f"the head is of {self.weight.dtype}, {self.bias.dtype}, not float32")
        for each in self.classes:
            if not (isinstance(each.name, str) and each.name):
                raise BadRelease(f"the head has a class named {each.name!r}; give it a name")
            if each.kind not in KINDS:
                raise BadRelease(
                    f"the head's class {each.name!r} is of kind {each.kind!r}, not one of "
                    f"{', '.join(KINDS)}"
                )
        if len(set(self.classes)) != count:
            twice = Counter(self.classes).most_common(1)[0][0]
            raise BadRelease(f"the head has the class {twice.name!r} ({twice.kind}) twice")
        if {each.kind for each in self.classes} != set(KINDS):
            raise BadRelease("the head needs classes of firearms and of look-alikes")
        self._check_numbers()

    def _check_numbers(self) -> None:
        most = np.linalg.norm(self.weight.astype(np.float64), axis=1) + np.abs(self.bias)
        # A NaN fails every comparison, so the good ones are asked for.
        bad = np.flatnonzero(~(most <= MAX_LOGIT))
        if bad.size:
            raise BadRelease(
                f"the head's class {self.classes[bad[0]].name!r} has weights that are not finite "
                f"or give logits above {MAX_LOGIT:g}"
            )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def channels(self) -> int:
        """F, of the features that it reads."""
        return int(self.weight.shape[1])

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits float32[..., C] of pooled features float32[..., F] of any norm."""
        norms = np.linalg.norm(features, axis=-1, keepdims=True)
        found: NDArray[np.float32] = (features / np.maximum(norms, 1e-12)) @ self.weight.T
        return (found + self.bias).astype(np.float32)

    @property
    def digest(self) -> str:
        """``sha256:`` and the digest of its classes and numbers, in whichever precision kept."""
        total = hashlib.sha256(manifests.canonical(self._plain()))
        for part in (self.weight, self.bias):
            total.update(np.ascontiguousarray(part, "<f4").tobytes())
        return f"sha256:{total.hexdigest()}"

    def _plain(self) -> list[dict[str, str]]:
        return [{"name": each.name, "kind": each.kind} for each in self.classes]

    def save(self, folder: Path) -> None:
        """Write ``head.safetensors``, and the classes into the ``types.json`` that is there.

        A weight of float16's precision is kept in float16.
        """
        path = folder / TYPES
        types = manifests.parse(path, path.read_bytes()) if path.exists() else {}
        path.write_bytes(manifests.canonical({**types, "classes": self._plain()}))
        half = self.weight.astype(np.float16)
        kept = half if np.array_equal(half.astype(np.float32), self.weight) else self.weight
        arrays = {"weight": np.ascontiguousarray(kept), "bias": np.ascontiguousarray(self.bias)}
        (folder / FILE).write_bytes(save(arrays))

    @classmethod
    def load(cls, folder: Path, files: Mapping[str, bytes]) -> "Head":
        """Read what ``save`` wrote.

        Args:
            folder: Where from, as it is said in errors.
            files: Contents of ``head.safetensors`` and ``types.json``, by name.

        Raises:
            BadRelease: They are damaged or do not fit each other.
        """
        try:
            arrays = load(files[FILE])
            weight, bias = arrays["weight"], arrays["bias"]
            plain: Any = manifests.parse(folder / TYPES, files[TYPES])["classes"]
            classes = tuple(HeadClass(each["name"], each["kind"]) for each in plain)
            if not {weight.dtype, bias.dtype} <= {np.dtype("f2"), np.dtype("f4")}:
                raise BadRelease(f"the head is of {weight.dtype}, {bias.dtype}, not of floats")
            return cls(weight.astype(np.float32), bias.astype(np.float32), classes)
        except (BadRelease, SafetensorError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(cast(object, error)).split())
            raise BadRelease(f"{folder / FILE} is not a head ({reason})") from None
