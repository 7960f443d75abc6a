"""A checkpoint is there whole, whenever the machine stops."""

import errno
import os

import pytest
import torch

from training.errors import BadInput
from training.stages.checkpoint import FILE, load_checkpoint, save_checkpoint


def test_tensors_and_state_come_back_exactly(tmp_path):
    channels_last = torch.randn(2, 3, 5, 7).to(memory_format=torch.channels_last)
    tensors = {"a": torch.randn(3, 5), "b": torch.tensor(7), "c": channels_last}
    state = {"loss": 0.1 + 0.2, "best": float("-inf"), "scale": None}
    save_checkpoint(tmp_path / "last", tensors, state)
    again, told = load_checkpoint(tmp_path / "last")
    assert told == state
    assert again.keys() == tensors.keys()
    assert all(again[name].equal(tensors[name]) for name in tensors)


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_a_disk_that_fills_leaves_the_last_one(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"a": torch.ones(3)}, {"step": 1})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match="No space left on device"):
        save_checkpoint(tmp_path, {"a": torch.zeros(3)}, {"step": 2})
    assert load_checkpoint(tmp_path)[1] == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_damaged_checkpoint_is_told_of(tmp_path):
    save_checkpoint(tmp_path, {"a": torch.ones(3)}, {})
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:20])
    with pytest.raises(BadInput, match="cannot be read"):
        load_checkpoint(tmp_path)
