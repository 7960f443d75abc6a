"""Small drawn photographs, their split, and settings that make runs short."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from models.spec import InputSpec, NetworkSpec
from moderator.demo.drawings import draw, names
from training.data.sets import QuerySet, RetrievalData, relevant_by_name
from training.folder import Photo, read_photos
from training.stages.buckets import buckets
from training.stages.settings import ClassifySettings, DistilSettings, RetrieveSettings

SIDE = 64
SPEC = NetworkSpec("squeezenet1_1", "mac", 3.0, None, InputSpec(buckets(SIDE)))

HEADED = replace(SPEC, pooling="gem", dimension=8)
"""With fewer dimensions than there are photographs, which a teacher needs."""


def draw_types(folder: Path, kinds: list[str], count: int, *, width: int = 96) -> None:
    """Draw ``<kind>/<n>.png``, wide and, each third, tall."""
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            size = (width, SIDE) if n % 3 else (SIDE, width)
            draw(kind, n, "indexed").convert("RGB").resize(size).save(folder / kind / f"{n}.png")


def drawn_data(base: Path) -> RetrievalData:
    """Return three types to learn, two to validate, and harmless things; drawn where missing."""
    firearms, harmless = base / "firearms", base / "harmless"
    if not firearms.is_dir():
        draw_types(firearms, names("firearm")[:5], 6)
        draw_types(harmless, names("harmless")[:2], 4)
    photos = read_photos(firearms, firearm=True)
    return data_of(photos, read_photos(harmless, firearm=False))


def data_of(photos: list[Photo], harmless: list[Photo]) -> RetrievalData:
    """Let the last two types validate: two queries each, the others are searched."""
    types = sorted({photo.name for photo in photos})
    train = tuple(p for p in photos if p.name in types[:-2])
    rest = [[p for p in photos if p.name == name] for name in types[-2:]]
    queries = tuple(p for own in rest for p in own[:2])
    database = tuple(p for own in rest for p in own[2:])
    asked = QuerySet(queries, database, relevant_by_name(queries, database))
    return RetrievalData("drawn", train, tuple(photos), asked, asked, tuple(harmless))


SHORT: dict[str, Any] = {
    "smallest": SIDE,
    "largest": SIDE + 32,
    "init": "random",
    "epochs": 3,
    "device": "cpu",
    "threads": 1,
    "checkpoint_every": 2,
    "tensorboard": False,
    "lr": 0.01,
}


def classify_settings(cache: Path, **changes: Any) -> ClassifySettings:
    """Return settings of a run of a second or two."""
    return ClassifySettings(**{**SHORT, "batch": 4, "cache": str(cache), **changes})


def retrieve_settings(cache: Path, **changes: Any) -> RetrieveSettings:
    """Likewise, of pairs."""
    few = {"batch": 8, "positives_per_type": 8, "negatives_per_type": 8, "regenerate_every": 2}
    return RetrieveSettings(**{**SHORT, **few, "cache": str(cache), **changes})


def balanced_settings(cache: Path, **changes: Any) -> RetrieveSettings:
    """Likewise, of balanced batches with an objective that has parameters of its own."""
    few = {
        "sampling": "balanced",
        "objective": "proxy-anchor",
        "types_per_batch": 3,
        "images_per_type": 2,
        "batches_per_epoch": 6,
        "harmless_per_batch": 2,
        "augmentation": "strong",
        "optimiser": "adamw",
        "schedule": "cosine",
        "lr": 0.001,
    }
    return RetrieveSettings(**{**SHORT, **few, "cache": str(cache), **changes})


def distil_settings(cache: Path, **changes: Any) -> DistilSettings:
    """Likewise, taught by a network of random weights, always the same ones."""
    few = {
        "batch": 4,
        "lr": 1e-4,
        "teacher": "squeezenet1_1",
        "teacher_weights": "random",
        "teacher_size": SIDE,
        "similarity_weight": 20.0,
        "label_weight": 0.15,
        "head_lr_factor": 1.0,
    }
    return DistilSettings(**{**SHORT, **few, "cache": str(cache), **changes})


def damaged(photo: Photo, folder: Path) -> Photo:
    """Return a photograph whose file is no image."""
    path = folder / f"damaged-{photo.path.name}"
    path.write_bytes(photo.path.read_bytes()[:60])
    return replace(photo, path=path, digest=f"damaged {photo.digest}")
