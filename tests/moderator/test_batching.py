from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.batching import Batching
from moderator.records import Post, PostImage, Record


def post(number: int, images: int) -> Post:
    record = Record("posts", 0, number, 0, None, b"")
    return Post(record, str(number), images=tuple(PostImage(str(n)) for n in range(images)))


def offsets(batches: list[list[Post]]) -> list[list[int]]:
    return [[each.record.offset for each in batch] for batch in batches]


@pytest.mark.parametrize(
    ("images", "closed"),
    [
        ([1, 1, 1, 1], [[], [], [], [[0, 1, 2, 3]]]),
        ([2, 1, 2], [[], [], [[0, 1]]]),
        ([3, 1], [[], [[0, 1]]]),
        # Posts without images count as one.
        ([0, 0, 0, 0], [[], [], [], [[0, 1, 2, 3]]]),
        # A post is never split: one that is too large is a batch of its own.
        ([9], [[[0]]]),
        ([1, 9], [[], [[0], [1]]]),
        ([4, 4], [[[0]], [[1]]]),
        ([1, 4], [[], [[0], [1]]]),
    ],
)
def test_batches_close_on_images(images, closed):
    batching = Batching(max_batch=4, max_wait=1.0)
    found = [offsets(batching.add(post(n, count), 0.0)) for n, count in enumerate(images)]
    assert found == closed


def test_the_wait_is_counted_from_the_first_post_of_the_open_batch():
    batching = Batching(max_batch=4, max_wait=0.5)
    assert batching.remaining(10.0) is None
    batching.add(post(0, 1), 10.0)
    batching.add(post(1, 1), 10.4)
    assert batching.remaining(10.0) == 0.5
    assert batching.remaining(10.25) == 0.25
    assert batching.remaining(10.5) == 0.0
    assert batching.remaining(99.0) == 0.0
    assert offsets([batching.flush()]) == [[0, 1]]
    assert batching.remaining(99.0) is None


def test_a_post_that_closes_the_batch_before_it_opens_one_of_its_own_time():
    batching = Batching(max_batch=4, max_wait=0.5)
    batching.add(post(0, 3), 1.0)
    assert offsets(batching.add(post(1, 2), 2.0)) == [[0]]
    assert batching.remaining(2.0) == 0.5


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 10))
def test_every_post_is_in_one_batch_in_order_and_no_batch_is_larger_than_it_must_be(
    images, max_batch
):
    batching = Batching(max_batch=max_batch, max_wait=1.0)
    batches = [batch for n, count in enumerate(images) for batch in batching.add(post(n, count), 0)]
    rest = batching.flush()
    assert [n for batch in offsets([*batches, rest]) for n in batch] == list(range(len(images)))
    counts = [[max(1, len(each.images)) for each in batch] for batch in [*batches, rest]]
    assert all(sum(count) <= max_batch or len(count) == 1 for count in counts)
    # A batch closes only when it is full or the next post does not fit any more.
    for count, following in pairwise(counts):
        assert sum(count) >= max_batch or sum(count) + following[0] > max_batch
