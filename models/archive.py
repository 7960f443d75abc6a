"""Arrays in one file that is the same for the same arrays. Knows nothing of what they mean.

The format is numpy's ``.npz`` with a fixed time, so that its digest names its contents. Reading
never unpickles.
"""

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadRelease

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that every member carries: the earliest that a zip file can hold."""


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Write arrays; none may hold objects.

    Args:
        path: Where to; what is there is replaced.
        arrays: By name.
        compress: Take less space; another version of zlib may then give other bytes.

    Raises:
        ValueError: An array holds objects.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as file:
                array = np.ascontiguousarray(arrays[name])
                np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def load_arrays(
    path: Path, names: Collection[str] | None = None, raw: bytes | None = None
) -> dict[str, NDArray[Any]]:
    """Read arrays.

    Args:
        path: What ``save_arrays`` wrote.
        names: Those that must be there and are read; None: all there are.
        raw: The file's contents, where they have been read.

    Raises:
        BadRelease: The file is not there, not of this format, or lacks an array.
    """
    try:
        with np.load(path if raw is None else io.BytesIO(raw), allow_pickle=False) as archive:
            return {name: archive[name] for name in (archive.files if names is None else names)}
    except FileNotFoundError:
        raise BadRelease(f"{path} does not exist; give a file that was saved whole") from None
    except KeyError as error:
        raise BadRelease(f"{path} lacks an array: {error.args[0]}; build it anew") from None
    except Exception as error:
        # numpy and zipfile raise many kinds on bad bytes.
        raise BadRelease(f"{path} is not a file of arrays ({error}); build it anew") from None
