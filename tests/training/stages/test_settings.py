"""Settings hold the paper's figures, and refuse what makes no sense before a run begins."""

import json

import pytest

from training.errors import BadInput
from training.stages.settings import ClassifySettings, RetrieveSettings, changed


def test_stage_1_defaults_are_the_papers():
    paper = ClassifySettings.paper()
    assert (paper.epochs, paper.batch, paper.lr, paper.momentum) == (50, 128, 1e-3, 0.9)
    assert (paper.weight_decay, paper.step_epochs, paper.step_factor) == (5e-4, 30, 0.1)
    assert (paper.smallest, paper.largest, paper.size_step) == (256, 384, 8)
    assert paper.class_weights
    assert not paper.cancel_class_weights
    code = ClassifySettings.released_code()
    assert (code.batch, code.cancel_class_weights, code.faithful) == (64, True, True)


def test_stage_2_defaults_are_the_papers():
    paper = RetrieveSettings.paper()
    assert (paper.epochs, paper.batch, paper.step_epochs) == (30, 64, 10)
    assert (paper.positives_per_type, paper.negatives_per_type) == (180, 180)
    assert (paper.regenerate_every, paper.objective) == (5, "contrastive-double")
    assert (paper.sampling, paper.augmentation) == ("pairs", "paper")


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        (ClassifySettings, {"epochs": 0}, "--epochs 0 is not in 1.."),
        (ClassifySettings, {"lr": float("nan")}, "--lr nan"),
        (ClassifySettings, {"dropout": 1.0}, "--dropout 1"),
        (ClassifySettings, {"largest": 16}, "--largest 16 is not in 32.."),
        (ClassifySettings, {"smallest": 200, "largest": 100}, "--smallest 200 is above"),
        (ClassifySettings, {"warmup_epochs": 60.0}, "--warmup-epochs 60 is not in 0..50"),
        (ClassifySettings, {"optimiser": "adam"}, "choose sgd, adamw"),
        (ClassifySettings, {"faithful": True, "augmentation": "mild"}, "leave out --augmentation"),
        (RetrieveSettings, {"faithful": True, "keep_aspect": False}, "leave out --no-keep-aspect"),
        (RetrieveSettings, {"precision": "bf16"}, "--precision 'bf16' is unknown"),
        (RetrieveSettings, {"images_per_type": 1}, "--images-per-type 1 is not in 2.."),
        (RetrieveSettings, {"objective": "arcface"}, "give --sampling balanced"),
        (RetrieveSettings, {"sampling": "triplets"}, "does not judge triplets"),
        (RetrieveSettings, {"harmless_per_batch": 4}, "give --sampling balanced"),
        (RetrieveSettings, {"figures": (("margn", 1.0),)}, "no figure 'margn'"),
        (RetrieveSettings, {"figures": (("positive_margin", 1.3),)}, "is 1.3 and negative_margin"),
        (
            RetrieveSettings,
            {"figures": (("negative_margin", 1.3), ("negative_margin", 1.4))},
            "--figure negative_margin is given twice",
        ),
        (
            RetrieveSettings,
            {"figures": (("mining", "hard"),)},
            "--figure mining=hard has no effect with --sampling pairs",
        ),
        (
            RetrieveSettings,
            {
                "figures": (("mining", "all"),),
                "sampling": "triplets",
                "objective": "triplet",
            },
            "--figure mining=all has no effect with --sampling triplets",
        ),
    ],
)
def test_wrong_settings_are_named(kind, changes, told):
    with pytest.raises(BadInput) as error:
        kind(**changes)
    assert told in str(error.value)


def test_what_differs_is_named_but_not_what_changes_nothing():
    before = json.loads(json.dumps(RetrieveSettings(cache="a", workers=2).to_json()))
    now = json.loads(json.dumps(RetrieveSettings(cache="b", workers=4, lr=0.01).to_json()))
    assert changed(now, before) == ["--lr 0.001 then, 0.01 now"]
    assert changed(before, before) == []


def test_a_run_from_before_a_setting_was_there_goes_on():
    now = json.loads(json.dumps(RetrieveSettings().to_json()))
    before = {name: value for name, value in now.items() if name != "faithful"}
    assert changed(now, before) == []
    assert changed({**now, "faithful": True}, before) == ["--faithful False then, True now"]
