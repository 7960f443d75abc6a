"""Light and quality change, places do not."""

import numpy as np

from tests.training.tuning.samples import striped
from training.tuning.photometry import vary


def test_the_same_chance_gives_the_same_picture_and_others_other_ones():
    image = striped().image
    before = image.tobytes()
    found = [vary(image, np.random.default_rng(n)) for n in (1, 1, 2, 3, 4, 5)]
    assert found[0].tobytes() == found[1].tobytes()
    assert len({picture.tobytes() for picture in found}) == 5
    assert image.tobytes() == before


def test_pictures_stay_rgb_of_the_same_shape():
    image = striped().image
    smaller = 0
    for n in range(40):
        found = vary(image, np.random.default_rng(n))
        assert found.mode == "RGB"
        assert abs(found.width / found.height - image.width / image.height) < 0.03
        smaller += found.width < image.width
    assert 0 < smaller < 40
