import json
import math
from dataclasses import replace

import pytest

from models.errors import BadNetwork
from models.spec import InputSpec, NetworkSpec

INPUT = InputSpec(((224, 224), (192, 256), (256, 192)))
SPEC = NetworkSpec("resnet18", "gem", 3.0, 128, INPUT)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(100, 100, (224, 224)), (300, 400, (192, 256)), (400, 300, (256, 192)),
     (1, 10_000, (192, 256)), (10_000, 1, (256, 192)), (1000, 1001, (224, 224))],
)  # fmt: skip
def test_an_image_goes_to_the_bucket_of_nearest_aspect_ratio(height, width, size) -> None:
    assert INPUT.size_for(height, width) == size


def test_the_largest_bucket_counts() -> None:
    assert INPUT.max_pixels == 224 * 224


REGIONAL = replace(SPEC, regions=((5, 2), (3, 1)))


@pytest.mark.parametrize("spec", [SPEC, REGIONAL, NetworkSpec("timm/x", "mac", 1, None, INPUT)])
def test_json_gives_the_same_network(spec) -> None:
    assert NetworkSpec.from_json({**json.loads(json.dumps(spec.to_json())), "later": 1}) == spec


@pytest.mark.parametrize(
    "changes",
    [{"sizes": []}, {"sizes": [[31, 64]]}, {"sizes": [[64, 5000]]}, {"sizes": [[64, 64], [64, 64]]},
     {"sizes": [64]}, {"mean": [0.5]}, {"std": [0.2, 0.2, 0]}, {"std": None},
     {"mean": ["a", 0, 0]}, {"mean": [0, math.nan, 0]}, {"std": [1, math.inf, 1]},
     {"sizes": [[math.inf, 64]]}, {"sizes": [[math.nan, 64]]}, {"mean": [10**400, 0, 0]}],
)  # fmt: skip
def test_a_bad_input_is_one_line(changes) -> None:
    with pytest.raises(BadNetwork) as caught:
        InputSpec.from_json({**INPUT.to_json(), **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"pooling": "max"}, {"gem_power": 0.5}, {"gem_power": math.nan}, {"gem_power": "x"},
     {"dimension": 0}, {"dimension": "many"}, {"dimension": math.inf}, {"dimension": 65_536},
     {"gem_power": 10**400}, {"gem_power": math.inf}, {"input": None}, {"input": {}},
     {"regions": [[0, 1]]}, {"regions": [[3, 0]]}, {"regions": [[3, 4]]}, {"regions": [[129, 1]]},
     {"regions": [[3, 1], [5, 1]]}, {"regions": [3]}, {"regions": None}, {"regions": [["a", 1]]},
     {"regions": [[math.inf, 1]]}],
)  # fmt: skip
def test_a_bad_network_is_one_line(changes) -> None:
    with pytest.raises(BadNetwork) as caught:
        NetworkSpec.from_json({**SPEC.to_json(), **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(SPEC.to_json()))
def test_a_missing_field_is_named(name) -> None:
    raw = SPEC.to_json()
    del raw[name]
    with pytest.raises(BadNetwork, match=name):
        NetworkSpec.from_json(raw)


def test_a_network_without_regions_is_described_as_before_there_were_any() -> None:
    assert "regions" not in SPEC.to_json()
    assert REGIONAL.to_json()["regions"] == [[5, 2], [3, 1]]
    assert NetworkSpec.from_json(SPEC.to_json()).regions == ()
