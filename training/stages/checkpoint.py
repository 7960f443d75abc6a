"""Where a run stands, in one file that is replaced whole. Must not know what the run does.

The file is safetensors, with plain data as JSON in its header; nothing is ever unpickled.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from training.errors import BadInput

FILE = "checkpoint.safetensors"


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Replace the checkpoint of a folder.

    Args:
        folder: Made where there is none.
        tensors: On any device.
        state: What JSON can hold.

    Raises:
        BadInput: It cannot be written, as where the disk is full; the last one stays.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(folder / FILE, save(plain, {"state": json.dumps(state)}))


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the tensors and the state of the last checkpoint; None where there is none.

    Raises:
        BadInput: The file is damaged.
    """
    from safetensors import safe_open

    file = folder / FILE
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as reader:
            state = json.loads(reader.metadata()["state"])
            tensors = {name: reader.get_tensor(name) for name in reader.keys()}  # noqa: SIM118
    except Exception as error:
        # The reader raises many kinds on damaged bytes.
        raise BadInput(f"{file} cannot be read ({error}); start anew in another --out") from None
    return tensors, state


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that a crash at any time leaves the old one or the new one, whole.

    Raises:
        BadInput: It cannot be written; the old one stays.
    """
    beside = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInput(f"{file} cannot be written ({error.strerror}); make room") from None
