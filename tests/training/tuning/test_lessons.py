"""Batches: their maps, labels and mirror images, and how often sources come."""

from collections import Counter

import numpy as np
import pytest

from training.errors import BadInput
from training.tuning.areas import Area, areas_of
from training.tuning.labels import classes_of, window_labels
from training.tuning.lessons import Lessons, source_weights
from training.tuning.mapstore import MapStore, Shard, write_shard
from training.tuning.plan import held_out, learners, make_plan

WINDOWS = [Area(x, y, x + 0.5, y + 0.5) for y in (0, 0.25, 0.5) for x in (0, 0.5)]


@pytest.fixture
def lessons_of(photos, types, short, tmp_path):
    """Lessons on random maps of a plan in which every fifth sample could not be made."""

    def build(**changes):
        settings = short(pastes=40, **changes)
        plan = make_plan(photos, settings)
        places = tuple(n for n in range(len(plan)) if n % 5)
        maps = np.random.default_rng(0).standard_normal((len(places), 3, 4, 2))
        boxes = tuple(areas_of(photos[plan[n].photo].boxes) for n in places)
        write_shard(tmp_path, 0, Shard(places, boxes, maps.astype(np.float16)))
        out = held_out(photos, settings)
        kept = [photo for photo, left in zip(photos, out, strict=True) if not left]
        classes = classes_of(kept, types)
        store = MapStore(tmp_path, 1)
        lessons = Lessons(store, plan, photos, learners(plan, out), classes=classes,
                          windows=WINDOWS, seed=3)  # fmt: skip
        return lessons, store, classes, plan

    return build


def test_a_batch_is_what_its_samples_say(lessons_of, photos):
    lessons, store, classes, plan = lessons_of()
    places = np.array([5, 0, 17, len(lessons) - 1, 5])
    mirrored = np.array([False, True, True, False, True])
    lesson = lessons.lesson(places, mirrored)
    for n, place in enumerate(places):
        row = lessons.rows[place]
        sample = plan[store.places[row]]
        shown = store.get([row])[0]
        assert (lesson.maps[n] == (shown[:, ::-1] if mirrored[n] else shown)).all()
        assert lesson.classes[n] == classes.of(photos, sample)
        firearm = sample.kind == "paste" or (sample.kind == "view" and photos[sample.photo].firearm)
        assert lesson.firearm[n] == firearm == classes.firearm[lesson.classes[n]]
        areas = store.firearms[row]
        areas = [area.mirrored() for area in areas] if mirrored[n] else areas
        expected = window_labels(WINDOWS, areas, firearm=firearm)
        assert (lesson.windows[n] == expected).all()


def test_batches_are_the_same_each_time_and_others_each_epoch(lessons_of):
    lessons, *_ = lessons_of()
    first, again, other = lessons.draw(0, 8), lessons.draw(0, 8), lessons.draw(1, 8)
    assert len(first) == len(lessons) // 8
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_held_out_sources_are_in_no_batch(lessons_of, photos):
    lessons, store, _, plan = lessons_of(hold_out=("south",))
    drawn = {int(place) for epoch in range(20) for batch in lessons.draw(epoch, 8)
             for place in batch}  # fmt: skip
    shown = [plan[store.places[lessons.rows[place]]] for place in drawn]
    sources = {photos[n].source for sample in shown for n in sample.photos}
    assert sources == {"north", "east"}
    assert {sample.kind for sample in shown} == {"view", "background", "paste"}


def test_sources_count_by_the_root_of_their_samples():
    sources = ["a"] * 16 + ["b"] * 4 + ["a"] * 9 + [None] * 1
    firearm = np.array([True] * 20 + [False] * 10)
    weights = source_weights(sources, firearm)
    total = Counter()
    for weight, source, shown in zip(weights, sources, firearm, strict=True):
        total[source, bool(shown)] += weight
    assert total["a", True] == pytest.approx(0.5 * 4 / 6)
    assert total["b", True] == pytest.approx(0.5 * 2 / 6)
    assert total["a", False] == pytest.approx(0.5 * 3 / 4)
    assert total[None, False] == pytest.approx(0.5 * 1 / 4)


def test_nothing_to_learn_from_is_an_error(lessons_of):
    with pytest.raises(BadInput, match="hold out less"):
        lessons_of(hold_out_harmless=("north", "south", "east"), backgrounds=0)
