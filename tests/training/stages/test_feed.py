"""Pictures come in the order of batches, the same whoever makes them and wherever a run stands."""

import numpy as np
import pytest

from tests.training.stages.samples import balanced_settings, retrieve_settings
from training.stages.batch import Batch
from training.stages.feed import Feed, longest_side
from training.stages.pixelstore import open_store


@pytest.fixture
def parts(data, cache, console):
    store = open_store([*data.train, *data.harmless], 120, cache, console)
    places = np.random.default_rng(0).integers(len(data.train), size=(5, 7))
    batches = [Batch(row.astype(np.int64)) for row in places]
    return store, data, balanced_settings(cache), list(enumerate(batches))


def feed_of(parts, share=(0, 1)):
    store, data, settings, _ = parts
    return Feed(store, data.train, data.harmless, settings, share)


def pictures(ready):
    """Return row → bytes of its picture."""
    return {
        int(row): pixels.tobytes()
        for bucket in ready.buckets
        for row, pixels in zip(bucket.rows, bucket.pixels, strict=True)
    }


def test_batches_come_in_order_with_all_their_pictures(parts):
    found = list(feed_of(parts).batches(3, parts[3]))
    assert [ready.step for ready in found] == list(range(5))
    for ready, (step, batch) in zip(found, parts[3], strict=True):
        assert ready.batch is batch
        assert sorted(pictures(ready)) == list(range(7))
        longest = longest_side(parts[2], 3, step)
        assert all(max(bucket.pixels.shape[1:3]) == longest for bucket in ready.buckets)
        shapes = [bucket.pixels.shape[1:] for bucket in ready.buckets]
        assert len(set(shapes)) == len(shapes)


def test_going_on_in_the_middle_gives_the_same_pictures(parts):
    whole = list(feed_of(parts).batches(3, parts[3]))
    rest = list(feed_of(parts).batches(3, parts[3][3:]))
    assert [pictures(ready) for ready in rest] == [pictures(ready) for ready in whole[3:]]
    other_epoch = list(feed_of(parts).batches(4, parts[3]))
    assert pictures(other_epoch[0]) != pictures(whole[0])


def test_processes_share_a_batch_without_changing_its_pictures(parts):
    whole = pictures(feed_of(parts).ready(0, *parts[3][0]))
    shares = [pictures(feed_of(parts, (n, 3)).ready(0, *parts[3][0])) for n in range(3)]
    assert {k: v for share in shares for k, v in share.items()} == whole
    assert sorted(map(len, shares)) == [2, 2, 3]


def test_faithful_pictures_have_sizes_of_their_own(data, cache, console):
    settings = retrieve_settings(cache, faithful=True)
    store = open_store(data.train, 120, cache, console)
    feed = Feed(store, data.train, (), settings)
    batch = Batch(np.zeros(40, np.int64))
    ready = feed.ready(0, 0, batch)
    longest = {max(bucket.pixels.shape[1:3]) for bucket in ready.buckets}
    assert longest == set(range(settings.smallest, settings.largest + 1, settings.size_step))
    # The same photograph each time, and never the same picture.
    assert len(set(pictures(ready).values())) == 40
    stored = store.get(data.train[0].digest)
    for bucket in ready.buckets:
        height, width = bucket.pixels.shape[1:3]
        ratio = max(height, width) / max(stored.shape[:2])
        assert (height, width) == tuple(int(side * ratio) for side in stored.shape[:2])
    again = feed.ready(0, 0, batch)
    assert pictures(again) == pictures(ready)
    share = Feed(store, data.train, (), settings, (1, 3)).ready(0, 0, batch)
    assert pictures(share).items() <= pictures(ready).items()


def test_sizes_are_those_of_the_settings(parts):
    settings = parts[2]
    sizes = {longest_side(settings, 0, step) for step in range(100)}
    assert sizes == set(range(settings.smallest, settings.largest + 1, settings.size_step))
