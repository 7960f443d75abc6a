import pytest

from training.calibration.settings import PolicySettings
from training.errors import BadInput


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"false_flag_rate": 0.0}, "--false-flag-rate 0.0 is not between 0 and 1"),
        ({"prior": 1.0}, "--prior 1.0"),
        ({"near_miss_rate": 0.001}, "--near-miss-rate 0.001 is below"),
        ({"least_quantile": 1.0}, "--least-quantile 1.0"),
        ({"region_share": -0.1}, "--region-share -0.1"),
        ({"shrinkage": -1.0}, "--type-shrinkage -1.0"),
        ({"shrinkage": float("nan")}, "--type-shrinkage nan"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"temperature": 3.0}, "temperature 3.0"),
        ({"neighbours": 0}, "neighbours 0"),
        ({"lookalike_margin": 5.0}, "lookalike_margin 5.0"),
        ({"part_margin": 2.5}, "part_margin 2.5"),
    ],
)
def test_a_figure_out_of_its_range_is_named(figures, message):
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        PolicySettings(**figures)


def test_the_usual_figures_are_sound():
    assert PolicySettings().temperature is None
    assert PolicySettings(temperature=0.05, least_quantile=0, region_share=0).prior == 0.5
