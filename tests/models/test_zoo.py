"""Importing torchvision leaves torch's compiler alone, and usable."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_compiler_is_not_imported_and_no_stand_in_is_left() -> None:
    script = (
        "import sys; from models.zoo import torchvision_models; zoo = torchvision_models();"
        "print('resnet18' in zoo.list_models(), 'torch._dynamo' in sys.modules)"
    )
    assert run(script) == "True False"


def test_the_compiler_can_still_be_used_afterwards() -> None:
    script = (
        "from models.zoo import torchvision_models; torchvision_models();"
        "import torch, torch._dynamo;"
        "f = torch.compile(lambda x: x + 1, backend='eager'); print(int(f(torch.tensor(1))))"
    )
    assert run(script) == "2"


def test_a_compiler_imported_before_is_left_as_it_is() -> None:
    script = (
        "import sys, torch._dynamo; before = sys.modules['torch._dynamo'];"
        "from models.zoo import torchvision_models; torchvision_models();"
        "print(sys.modules['torch._dynamo'] is before)"
    )
    assert run(script) == "True"
