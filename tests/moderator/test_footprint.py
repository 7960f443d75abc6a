"""What a member takes at most, and containers that have less."""

from pathlib import Path

import pytest

from models.spec import InputSpec
from moderator import footprint
from moderator.assembly import decode_limits
from moderator.decoding.copies import CopyPool
from moderator.decoding.decoders import DEPTH
from moderator.errors import BadSettings
from moderator.footprint import check_memory, most_memory
from moderator.settings import Settings, load_settings
from moderator.worker import run_worker

SPEC = InputSpec(sizes=((320, 320),))
GIB = 2**30


def settings(**given: str) -> Settings:
    plain = {"decode_processes": "2", "embed_threads": "2"}
    return load_settings({**plain, **given}, environ={})


@pytest.fixture
def membership(tmp_path) -> Path:
    path = tmp_path / "cgroup"
    path.write_text("0::/pod/member\n")
    return path


def groups(folder: Path, **limits: str) -> Path:
    """Make control groups ``/``, ``/pod`` and ``/pod/member``, with these limits."""
    root = folder / "groups"
    inner = {"root": root, "pod": root / "pod", "member": root / "pod" / "member"}
    inner["member"].mkdir(parents=True, exist_ok=True)
    for name, limit in limits.items():
        (inner[name] / "memory.max").write_text(f"{limit}\n")
    return root


def test_every_decode_process_counts_with_its_memory() -> None:
    two, three = settings(), settings(decode_processes="3")
    more = most_memory(three, SPEC) - most_memory(two, SPEC)
    assert two.limits.decode_memory < more < 1.1 * two.limits.decode_memory
    kept = settings(evidence_url="/evidence")
    assert 0 < most_memory(kept, SPEC) - most_memory(three, SPEC) < GIB / 20
    every = settings(evidence_url="/evidence", evidence_of="all")
    assert most_memory(every, SPEC) > most_memory(settings(decode_processes="4"), SPEC)


def test_the_slots_of_copies_count_with_their_size() -> None:
    given = {"evidence_url": "/evidence", "evidence_of": "all"}
    small, large = (settings(**given, evidence_max_side=side) for side in ("64", "4096"))
    pool = CopyPool(SPEC, processes=2, limits=decode_limits(large.limits), max_side=4096)
    try:
        most = (pool._copies.slots + 2 * DEPTH) * pool._copies.slot_bytes
    finally:
        pool.close()
    assert most_memory(large, SPEC) - most_memory(small, SPEC) > 0.99 * most


def test_images_by_reference_count_where_there_are_any(tmp_path) -> None:
    fetched = settings(allowed_hosts="images.example.org")
    assert most_memory(fetched, SPEC) - most_memory(settings(), SPEC) > GIB


@pytest.mark.parametrize("place", ["member", "pod", "root"])
def test_a_container_with_less_is_refused_in_one_line(tmp_path, membership, place) -> None:
    limits = {"member": "max", place: str(3 * GIB)}
    with pytest.raises(BadSettings) as caught:
        check_memory(settings(), SPEC, groups(tmp_path, **limits), membership)
    text = str(caught.value)
    assert "2 decode_processes may take 1.0 GiB each" in text
    assert "its container has 3.0 GiB" in text
    assert "\n" not in text


def test_a_container_of_the_first_version_is_known(tmp_path, membership) -> None:
    membership.write_text("3:cpu:/x\n4:memory:/pod\n")
    pod = tmp_path / "memory" / "pod"
    pod.mkdir(parents=True)
    limit = pod / "memory.limit_in_bytes"
    limit.write_text(f"{3 * GIB}\n")
    with pytest.raises(BadSettings):
        check_memory(settings(), SPEC, tmp_path, membership)
    limit.write_text("9223372036854771712\n")
    check_memory(settings(), SPEC, tmp_path, membership)


def test_a_container_with_enough_or_without_a_limit_is_taken(tmp_path, membership) -> None:
    enough = str(most_memory(settings(), SPEC))
    check_memory(settings(), SPEC, groups(tmp_path, member=enough), membership)
    check_memory(settings(), SPEC, groups(tmp_path, member="max"), membership)
    check_memory(settings(), SPEC, tmp_path, tmp_path / "none")


def test_a_worker_does_not_start_in_too_small_a_container(monkeypatch) -> None:
    monkeypatch.setattr(footprint, "_limits", lambda *_: iter([GIB]))
    # Before brokers are asked for, of which there is none.
    with pytest.raises(BadSettings, match="its container has 1"):
        run_worker(settings(http_port="0", bootstrap_servers="127.0.0.1:1"))
