import os

import pytest

from models.cpus import available_cpus


def group(root, place: str, **files: str):
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def membership(tmp_path):
    return tmp_path / "cgroup"


@pytest.fixture(autouse=True)
def many(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def test_without_limits_it_is_the_affinity(tmp_path, membership):
    assert available_cpus(tmp_path / "none", membership) == 64


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("", 64)],
)
def test_the_quota_of_a_group_of_version_2(tmp_path, membership, quota, cpus):
    membership.write_text("0::/pod/me\n")
    group(tmp_path, "pod/me", cpu__max=quota)
    assert available_cpus(tmp_path, membership) == cpus


def test_the_least_of_the_groups_around_it_holds(tmp_path, membership):
    membership.write_text("0::/pod/me\n")
    group(tmp_path, "pod", cpu__max="300000 100000")
    group(tmp_path, "pod/me", cpu__max="max 100000")
    assert available_cpus(tmp_path, membership) == 3


def test_the_quota_of_a_group_of_version_1(tmp_path, membership):
    membership.write_text("4:memory:/x\n3:cpu,cpuacct:/pod\n")
    group(tmp_path, "cpu,cpuacct/pod", cpu__cfs_quota_us="400000\n", cpu__cfs_period_us="100000\n")
    assert available_cpus(tmp_path, membership) == 4
    group(tmp_path, "cpu,cpuacct/pod", cpu__cfs_quota_us="-1\n")
    assert available_cpus(tmp_path, membership) == 64
