"""The drawings: deterministic, valid, and never shared between the indexed and the posted set."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from moderator.demo import drawings
from moderator.demo.dial import BANDS, Dial
from moderator.demo.drawings import draw, jpeg, kind_of, names, traits

ALL = [*names("firearm"), *names("lookalike"), *names("harmless")]
SEEDS = range(6)


def within(share: float, variant: str) -> bool:
    return any(low <= share <= high for low, high in BANDS[variant])


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_is_a_valid_picture_with_something_on_it(name: str) -> None:
    image = draw(name, 3, "posted")
    assert (image.mode, image.size) == ("RGB", (drawings.SIZE, drawings.SIZE))
    read = Image.open(io.BytesIO(jpeg(image)))
    read.load()
    assert read.format == "JPEG"
    # The thing stands out from its background: what differs most from the corners is in the middle.
    pixels = np.asarray(image, np.float32)
    middle = pixels[80:240, 80:240].reshape(-1, 3)
    assert middle.std(axis=0).max() > 12


def test_a_drawing_is_the_same_at_every_call_and_in_every_process() -> None:
    script = (
        "import hashlib; from moderator.demo.drawings import draw;"
        "print(hashlib.sha256(draw('revolver', 7, 'posted').tobytes()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert np.array_equal(draw("revolver", 7, "posted"), draw("revolver", 7, "posted"))


@pytest.mark.parametrize("name", ALL)
def test_indexed_and_posted_share_no_seed_pose_background_or_shape(name: str) -> None:
    indexed = [traits(name, seed, "indexed") for seed in SEEDS]
    posted = [traits(name, seed, "posted") for seed in SEEDS]
    assert indexed[0].shares.keys() == posted[0].shares.keys()
    # Beyond pose, light and ground, each thing has shape parameters of its own.
    pose = {"rotation", "scale", "slant", "shift across", "shift down"}
    light = {"outline", "light angle", "shadow", "exposure", "warmth"}
    ground = {"background r", "background g", "background b"}
    assert pose <= indexed[0].shares.keys()
    assert len(indexed[0].shares.keys() - pose - light - ground) >= 2
    for one in indexed:
        assert all(within(share, "indexed") for share in one.shares.values())
        for other in posted:
            assert all(within(share, "posted") for share in other.shares.values())
            for parameter, share in one.shares.items():
                assert abs(share - other.shares[parameter]) > 0.04, parameter
            for parameter, chosen in one.choices.items():
                assert chosen != other.choices[parameter], parameter


def test_the_bands_of_the_two_sets_are_apart() -> None:
    for low, high in BANDS["indexed"]:
        for other_low, other_high in BANDS["posted"]:
            assert high < other_low or other_high < low


def test_the_same_seed_of_the_two_sets_is_not_the_same_randomness() -> None:
    one, other = Dial("pistol", 5, "indexed"), Dial("pistol", 5, "posted")
    assert one.grain() != other.grain()


@pytest.mark.parametrize("variant", ["indexed", "posted"])
def test_no_two_drawings_are_alike(variant: str) -> None:
    seen = {draw(name, seed, variant).tobytes() for name in ALL for seed in range(3)}
    assert len(seen) == 3 * len(ALL)


def test_every_name_has_one_kind_and_unknown_names_none() -> None:
    assert len(ALL) == len(set(ALL))
    assert [kind_of(name) for name in ("pistol", "umbrella", "cat")] == [
        "firearm",
        "lookalike",
        "harmless",
    ]
    with pytest.raises(KeyError):
        draw("cannon", 0, "posted")


def test_drawing_needs_no_torch() -> None:
    script = "import sys, moderator.demo.drawings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
