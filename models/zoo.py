"""Import torchvision's networks without torch's compiler, which they ask for and never use here.

``torchvision.ops.roi_align`` imports ``torch._dynamo`` for one predicate: over a second and some
150 MB in every process that holds a network. Knows nothing of what is taken from the networks.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

COMPILER = ("torch._dynamo", "torch._dynamo.utils")


def torchvision_models() -> ModuleType:
    """Return ``torchvision.models``."""
    with _without_compiler():
        return importlib.import_module("torchvision.models")


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Stand in for the compiler, unless somebody has imported it already, and then vanish."""
    if COMPILER[0] in sys.modules:
        yield
        return
    stand_ins = {name: ModuleType(name) for name in COMPILER}
    stand_ins[COMPILER[0]].__path__ = []
    # Asked of CUDA and XPU devices, before region pooling is compiled: nothing here pools so.
    stand_ins[COMPILER[1]].is_compile_supported = lambda device: False  # type: ignore[attr-defined]  # noqa: ARG005
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
