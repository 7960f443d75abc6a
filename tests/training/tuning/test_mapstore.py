"""Shards on disk and rows of them."""

import numpy as np
import pytest

from training.tuning.areas import Area
from training.tuning.mapstore import MapStore, Shard, is_done, write_shard


@pytest.fixture
def shards():
    lot = np.random.default_rng(0)
    sizes, places, begin = (3, 0, 5, 1), [], 0
    for size in sizes:
        places.append(tuple(range(begin, begin + 2 * size, 2)))
        begin += 10
    return [
        Shard(own, tuple((Area(0.1, 0.2, 0.3, 0.4),) * (p % 3) for p in own),
              lot.standard_normal((len(own), 2, 3, 4)).astype(np.float16))
        for own in places
    ]  # fmt: skip


def test_rows_come_back_in_any_order(tmp_path, shards):
    for number, shard in enumerate(shards):
        write_shard(tmp_path, number, shard)
    store = MapStore(tmp_path, len(shards))
    whole = np.concatenate([shard.maps for shard in shards])
    assert len(store) == 9
    assert store.shape == (2, 3, 4)
    assert store.places.tolist() == [p for shard in shards for p in shard.places]
    assert store.firearms == tuple(a for shard in shards for a in shard.firearms)
    for rows in ([8, 0, 3, 3, 7, 2], [], [5], list(range(9))):
        assert (store.get(rows) == whole[rows]).all()
        assert len(store.get(rows)) == len(rows)


def test_a_shard_without_its_marker_is_not_done(tmp_path, shards):
    assert not is_done(tmp_path, 0)
    write_shard(tmp_path, 0, shards[0])
    assert is_done(tmp_path, 0)
    (tmp_path / "000000.json").unlink()
    assert not is_done(tmp_path, 0)


def test_what_is_read_can_be_changed_without_changing_the_file(tmp_path, shards):
    write_shard(tmp_path, 0, shards[0])
    store = MapStore(tmp_path, 1)
    store.get([0])[:] = 0
    assert (store.get([0]) == shards[0].maps[:1]).all()
