import copy
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.training.ranking.examples import entry
from training.ranking.figures import (
    confusion_figure,
    described,
    distance_figure,
    margin_figure,
    pca_figure,
    reliability_figure,
    roc_figure,
    write_figures,
)
from training.ranking.margins import margins_of, networks_of
from training.ranking.paper import MARGINS, method
from training.ranking.summary import summarise


@pytest.fixture(scope="module")
def entries():
    return [
        *(entry("cls+double", s, noise=1.6, margins=[0.8, 1.2]) for s in (0, 1)),
        entry("mac", 0, noise=2.0),
        entry("narrow", 0, noise=1.2, margins=[0.5, 0.9]),
        entry("cls+double", 2, noise=1.2, margins=[0.5, 0.9]),
    ]


@pytest.mark.slow
def test_all_figures_are_written_as_pictures(entries, tmp_path):
    paths = write_figures(entries, tmp_path / "figures")
    names = ["distances", "pca", "confusions", "margins", "roc", "reliability"]
    assert [path.stem for path in paths] == names
    for path in paths:
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 10


def texts(figure):
    """Everything written in a figure's panels."""
    found = [figure.get_suptitle()]
    for axis in figure.axes:
        legend = axis.get_legend()
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
        found += [text.get_text() for text in axis.texts]
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return found


def test_histograms_are_shares_of_all_pairs(entries):
    figure = distance_figure(entries, "said")
    assert [axis.get_title() for axis in figure.axes] == ["mac", "cls+double", "narrow"]
    for axis in figure.axes:
        heights = [patch.get_data().values.sum() for patch in axis.patches]
        assert heights == pytest.approx([100] * 4)
    means = [one["distances"]["same"] for one in entries if one["label"] == "cls+double"]
    mean = sum(m["mean"] * m["pairs"] for m in means) / sum(m["pairs"] for m in means)
    assert f"same type, mean {mean:.2f}" in texts(figure)


def test_no_histogram_is_cut_off_by_a_flatter_one_before_it(entries):
    flat, narrow = copy.deepcopy(entries[2]), copy.deepcopy(entries[3])
    for kind in ("same", "other"):
        counts = flat["distances"][kind]["counts"]
        flat["distances"][kind]["counts"] = [10] * len(counts)
        narrow["distances"][kind]["counts"] = [0] * (len(counts) - 1) + [10]
    figure = distance_figure([flat, narrow], "said")
    for axis in figure.axes:
        highest = max(patch.get_data().values.max() for patch in axis.patches)
        assert axis.get_ylim()[0] == 0
        assert axis.get_ylim()[1] > highest


def curves(axis):
    """The curves of a panel as lists of heights, in the order in which they were drawn."""
    return [line.get_ydata().tolist() for line in axis.lines]


def test_the_papers_curves_stand_apart_from_ours(entries):
    summary = summarise(entries)
    figure = pca_figure(summary, "said")
    ours, paper = figure.axes[0], figure.axes[2]
    assert "two queries a type" in ours.get_title()
    assert "paper" in paper.get_title() and "two queries a type" in paper.get_title()
    expected = 100 * summary["mac"]["paper/pca/test database/16"].mean
    assert curves(ours)[0] == pytest.approx([expected])
    given = [list(method(name).reduced.values()) for name in ("mac", "cls+double")]
    assert curves(paper) == given
    for axis in (figure.axes[3], figure.axes[4]):
        assert "every photograph asked" in axis.get_title()
        assert len(curves(axis)) == 3


def test_each_curve_is_named_beside_its_end_and_no_name_is_on_another(entries):
    figure = pca_figure(summarise(entries), "said")
    for axis in (figure.axes[place] for place in (0, 1, 3, 4)):
        assert sorted(text.get_text().split()[0] for text in axis.texts) == [
            "cls+double", "mac", "narrow",
        ]  # fmt: skip
        figure.draw_without_rendering()
        boxes = sorted((text.get_window_extent() for text in axis.texts), key=lambda box: box.y0)
        assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))


def test_a_dimension_that_some_splits_lack_is_not_drawn(entries):
    lacking = copy.deepcopy(entries[:2])
    for one in entries[:2]:
        assert "16" in one["protocols"]["every"]["pca"]["test database"]
    whole = lacking[0]["protocols"]["every"]["pca"]["test database"]
    whole["32"] = copy.deepcopy(whole["16"])
    figure = pca_figure(summarise(lacking), "said")
    assert figure.axes[3].lines[0].get_xdata().tolist() == [16]


def test_without_pca_there_is_no_picture_of_it(entries):
    bare = copy.deepcopy(entries[:1])
    for part in bare[0]["protocols"].values():
        part["pca"] = {}
    assert pca_figure(summarise(bare), "said") is None


def test_confusions_are_summed_over_splits(entries):
    counts = {}
    totals = {}
    for one in entries[:2]:
        for row in one["types"]:
            totals[row["type"]] = totals.get(row["type"], 0) + row["queries"]
            for other, count in row["taken_for"].items():
                pair = (row["type"], other)
                counts[pair] = counts.get(pair, 0) + count
    (asked, _), count = max(counts.items(), key=lambda item: item[1] / totals[item[0][0]])
    figure = confusion_figure(entries[:2], "said")
    assert f"{count} of {totals[asked]}" in texts(figure)
    perfect = [{**one, "types": []} for one in entries]
    assert confusion_figure(perfect, "said") is None


def whole(one):
    return one["protocols"]["every"]["whole"]["map"]["trapezoid"]


def test_margins_are_a_mean_for_each_pair(entries):
    found = margins_of(entries)
    assert found[0.8, 1.2] == pytest.approx(100 * np.mean([whole(e) for e in entries[:2]]))
    assert set(found) == {(0.8, 1.2), (0.5, 0.9)}
    assert found[0.5, 0.9] == pytest.approx(100 * whole(entries[4]))
    shown = texts(margin_figure(found, "said", networks_of(entries)))
    assert "here: every photograph asked, 3 splits, 1 network each" in shown
    assert f"{found[0.8, 1.2]:.1f}" in shown
    assert all(f"{value:.1f}" in shown for value in MARGINS.values())
    assert margin_figure({(0.8, 1.2): 50.0}, "said", (1, 1)) is None


def test_curves_of_flags_end_at_everything(entries):
    figure = roc_figure(entries, "said")
    for axis in figure.axes:
        curves = [line for line in axis.lines if len(line.get_xdata()) > 2]
        assert len(curves) == 3
        assert all(line.get_ydata()[-1] == 100 for line in curves)
    assert "30 harmless" in figure.get_suptitle()


def test_what_was_not_measured_is_not_drawn():
    bare = [entry("mac", harmless=False)]
    assert roc_figure(bare, "said") is None
    assert reliability_figure(bare, "said") is None


def test_titles_say_data_and_number(entries):
    assert described(entries) == "made up, n = 24 test photographs in each of 3 splits"
    more = {**entries[1], "data": {**entries[1]["data"], "test": 30}}
    assert "n = 24 to 30 test photographs in each of 2" in described([entries[0], more])
    assert described(entries[2:4]) == "made up, n = 24 test photographs, 3 types"
    assert "ECE" in " ".join(texts(reliability_figure(entries, "said")))
