"""The figures that the paper reports, in percent, to stand beside ours. Plain data.

Source: Hao et al., DeepFirearm, ICPR 2018 (arXiv 1806.02984), as the first author's thesis and its
plot scripts give them (repository jdhao/master_thesis): Firearm 14k's test set, 80 queries, VGG16
at 384 px, one run each, the best of several. Tables 1 and 2 are without PCA; Table 3 fits the PCA
on the test database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DIMENSIONS = (512, 256, 128, 64, 32, 16)
"""Of Table 3, in its order."""

TABLE_KS = (1, 2, 4, 8)
"""Ranks of Tables 1 and 2."""


@dataclass(frozen=True)
class Method:
    """A row of the paper's tables.

    Args:
        key: What a run is called to stand in this row.
        title: What the row says.
        map: Without PCA, in percent; None where the paper gives none.
        recall: k → share of queries with a hit among the first k, in percent.
        reduced: Dimension → mAP after PCA, in percent.
    """

    key: str
    title: str
    map: float | None = None
    recall: Mapping[int, float] = field(default_factory=dict)
    reduced: Mapping[int, float] = field(default_factory=dict)


def _row(values: str, keys: tuple[int, ...]) -> dict[int, float]:
    return dict(zip(keys, map(float, values.split()), strict=True))


def _ranks(values: str) -> dict[int, float]:
    return _row(values, (1, 2, 4, 8, 16, 32))


def _reduced(values: str) -> dict[int, float]:
    return _row(values, DIMENSIONS)


METHODS = (
    Method(
        "neural-codes",
        "Neural codes",
        None,
        _ranks("61.25 77.5 83.75 87.5 91.25 98.75"),
        _reduced("15.9 15.8 15.7 14.6 13.7 10.5"),
    ),
    Method(
        "spoc",
        "SPoC, off the shelf",
        None,
        _ranks("67.5 81.25 86.25 90 93.75 97.5"),
        _reduced("23.3 23.4 23.1 22.4 20.6 18.4"),
    ),
    Method(
        "mfc",
        "MFC",
        None,
        _ranks("81.25 85 86.25 95 96.25 98.75"),
        _reduced("30.0 29.8 29.5 28.0 24.5 20.9"),
    ),
    Method(
        "mac",
        "MAC, off the shelf",
        31.1,
        _ranks("83.75 91.25 95 96.25 98.75 98.75"),
        _reduced("36.1 36.4 36.5 35.4 32.3 27.8"),
    ),
    Method(
        "single",
        "single margin, one stage (Siamese-MAC)",
        35.1,
        _ranks("80 86.25 92.5 96.25 96.25 97.5"),
        _reduced("35.6 36.2 37.2 37.3 35.2 31.4"),
    ),
    Method(
        "double",
        "double margin, one stage",
        47.1,
        _ranks("87.5 88.75 95 97.5 100 100"),
        _reduced("45.79 46.17 46.61 46.75 45.36 42.03"),
    ),
    Method(
        "cls",
        "classification only",
        65.4,
        _ranks("92.5 96.25 97.5 98.75 100 100"),
        _reduced("66.57 67.2 68.53 68.67 67.47 59.99"),
    ),
    # Of which the thesis only says that its mAP falls steadily, whatever the margin.
    Method("cls+single", "classification + single margin"),
    Method(
        "triplet",
        "classification + triplet",
        None,
        _ranks("93.75 96.25 98.75 100 100 100"),
        _reduced("67.98 68.57 69.60 69.97 68.1 60.67"),
    ),
    Method(
        "cls+double",
        "classification + double margin",
        68.4,
        _ranks("95 98.75 98.75 100 100 100"),
        _reduced("68.63 69.15 70.14 70.07 68.48 61.59"),
    ),
)

POSITIVE_MARGINS = (0.5, 0.6, 0.7, 0.8, 0.9)
NEGATIVE_MARGINS = (1.1, 1.2, 1.3)

MARGINS: Mapping[tuple[float, float], float] = {
    (positive, negative): value
    for negative, row in zip(
        NEGATIVE_MARGINS,
        ("65.8 67.4 68.0 67.9 67.2", "66.1 67.0 67.6 68.4 67.7", "66.2 66.4 66.9 67.3 66.6"),
        strict=True,
    )
    for positive, value in zip(POSITIVE_MARGINS, map(float, row.split()), strict=True)
}
"""(margin of positive pairs, of negative pairs) → mAP in percent. It was apparently swept on the
test set, as its best figure is that of Table 2."""

DISTANCES: Mapping[str, tuple[float, float]] = {
    "mac": (0.673, 0.766),
    "cls": (0.905, 1.226),
    "cls+double": (0.807, 1.171),
}
"""Key → mean distance of positive and of negative pairs, read off an early figure."""

ALIASES = {
    "off-the-shelf": "mac",
    "vgg": "mac",
    "retr-s": "single",
    "siamese-mac": "single",
    "retr-d": "double",
    "classification": "cls",
    "cls+retr-s": "cls+single",
    "cls+retr-d": "cls+double",
    "cls+triplet": "triplet",
}


def method(label: str) -> Method | None:
    """Return the paper's row of a run's label; None where it has none."""
    plain = label.lower().replace(" ", "").replace("_", "-")
    key = ALIASES.get(plain, plain)
    return next((row for row in METHODS if row.key == key), None)
