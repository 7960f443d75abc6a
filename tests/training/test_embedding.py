import io

import numpy as np
import pytest
from PIL import Image

from models.spec import InputSpec
from moderator.decoding.decode import decode
from training.embedding import describe, embed, read

SPEC = InputSpec(((32, 32), (32, 64)))


class MeanColour:
    """Embeds a picture as its mean colour; remembers the sizes of batches."""

    dimension = 3

    def __init__(self):
        self.batches = []

    def embed(self, pixels):
        self.batches.append(pixels.shape)
        rows = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Halves(MeanColour):
    """Describes wide pictures by two halves as well, others by themselves alone."""

    def describe_pixels(self, pixels):
        parts = [pixels]
        if pixels.shape[2] == 64:
            parts += [pixels[:, :, :32], pixels[:, :, 32:]]
        return np.stack([self.embed(part) for part in parts], axis=1)


def photographs(folder, count):
    """Draw plain pictures of many colours, every third one wide; return their paths."""
    paths = []
    for number in range(count):
        size = (80, 40) if number % 3 == 0 else (50, 50)
        paths.append(folder / f"{number}.png")
        Image.new("RGB", size, (number + 1, 50, 255 - number)).save(paths[-1])
    return paths


def test_each_photograph_has_its_own_embedding_whatever_the_batches(tmp_path):
    paths = photographs(tmp_path, 23)
    network, done = MeanColour(), []
    found = embed(network, paths, SPEC, batch=3, advance=done.append)
    for number, row in enumerate(found.rows):
        colour = np.array([number + 1, 50, 255 - number], np.float64)
        np.testing.assert_allclose(row, colour / np.linalg.norm(colour), atol=1e-3)
    assert sum(done) == 23
    assert all(len(batch) == 4 and batch[0] <= 3 for batch in network.batches)
    assert {batch[1:3] for batch in network.batches} == {(32, 32), (32, 64)}


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path):
    paths = photographs(tmp_path, 6)
    paths[1].write_bytes(b"no picture")
    paths[2].write_bytes(paths[3].read_bytes()[:60])
    paths[4].write_bytes(b"")
    Image.new("RGB", (300, 1)).save(paths[5])
    found = embed(MeanColour(), paths, SPEC)
    assert sorted(found.unreadable) == [1, 2, 4, 5]
    assert "smaller than 16 pixels" in found.unreadable[5]
    assert all(str(tmp_path) not in reason and reason for reason in found.unreadable.values())
    assert found.rows[[1, 2, 4, 5]].any() is np.False_
    np.testing.assert_allclose(np.linalg.norm(found.rows[[0, 3]], axis=1), 1, atol=1e-6)


def test_no_photographs_have_no_embeddings():
    assert embed(MeanColour(), [], SPEC).rows.shape == (0, 3)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(mode, size=(200, 120)):
    down = Image.linear_gradient("L").resize(size)
    across = down.rotate(180)
    colour = Image.merge("RGB", (down, across, down))
    if mode in ("RGBA", "LA"):
        colour = colour.convert(mode)
        colour.putalpha(across)
        return colour
    return colour.convert(mode)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def cases():
    yield "jpeg", saved(gradient("RGB", (1200, 500)), "JPEG")
    yield "turned", saved(gradient("RGB", (1200, 500)), "JPEG", exif=turned(6))
    yield "mirrored", saved(gradient("RGB"), "JPEG", exif=turned(2))
    yield "cmyk", saved(gradient("CMYK"), "JPEG")
    yield "grey", saved(gradient("L"), "JPEG")
    yield "alpha", saved(gradient("RGBA"), "PNG")
    yield "palette", saved(gradient("P"), "PNG")
    deep = (np.asarray(gradient("L")).astype(np.uint16) << 8) + 77
    yield "16 bit", saved(Image.fromarray(deep), "PNG")
    yield "webp", saved(gradient("RGB"), "WEBP", lossless=True)
    frames = [gradient("RGB"), gradient("L").convert("RGB")]
    yield "animated", saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(("name", "data"), list(cases()), ids=[name for name, _ in cases()])
def test_photographs_are_read_as_where_releases_are_served(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    # Of two frames that are judged, the first one is the first of all.
    served = decode(data, SPEC, max_pixels=10**8, max_frames=2).frames[0]
    np.testing.assert_array_equal(read(path, SPEC), served)


def test_a_photograph_is_described_as_it_is_embedded_with_its_regions(tmp_path):
    paths = photographs(tmp_path, 11)
    paths[4].write_bytes(b"no picture")
    wide = Image.new("RGB", (80, 40), (250, 10, 10))
    wide.paste((10, 10, 250), (40, 0, 80, 40))
    wide.save(paths[3])
    done = []
    found = describe(Halves(), paths, SPEC, batch=2, advance=done.append)
    rows = embed(MeanColour(), paths, SPEC).rows
    assert sum(done) == 11
    assert [*found.unreadable] == [4]
    assert [len(its) for its in found.rows] == [3 if n % 3 == 0 else 0 if n == 4 else 1
                                                for n in range(11)]  # fmt: skip
    for number, its in enumerate(found.rows):
        if number != 4:
            np.testing.assert_allclose(its[0], rows[number], atol=1e-6)
    left, right = found.rows[3][1:]
    assert left[0] > 0.9
    assert right[0] < 0.1
