"""Changing the release of members that work: nothing lost, nothing judged by half of one."""

import json
import signal
import socket
import time
from collections import Counter

import pytest

from models.errors import BadRelease
from moderator.errors import BadSettings
from moderator.rollout.commands import run_activate, run_rollback
from moderator.rollout.control import Control
from moderator.rollout.register import read_control, write_control
from tests.moderator.member import Member, until

pytestmark = pytest.mark.timeout(300)


REFUSED = 'moderator_releases_refused_total{role="active"}'


def served(member: Member) -> str | None:
    """Return the release that a member says it serves."""
    status, body = member.get("/release")
    report = json.loads(body) if status == 200 else {}
    return report["active"] and report["active"]["release"] if report else None


def activated(group, target: str, release_id: str, *members: Member) -> float:
    """Activate a release and return the seconds until every member serves it."""
    run_activate(group.settings, target, group.out, flags_all=True)
    begin = time.monotonic()
    for member in members:
        until(lambda member=member: served(member) == release_id, f"serving {release_id}")
    return time.monotonic() - begin


@pytest.mark.parametrize(("embedder", "count"), [("in-process", 3), ("process", 1)])
def test_releases_change_under_load_and_nothing_is_lost_or_mixed(
    group, releases, drawn, embedder, count
) -> None:
    members = [group.start(str(n), embedder=embedder) for n in range(count)]
    for member in members:
        member.await_ready()
    tiny, eager, other = releases.tiny, releases.eager, releases.other
    assert {served(member) for member in members} == {tiny.id}
    harmless = drawn("pistol", 3, "posted")
    with group.pouring(harmless):
        until(lambda: group.network.committed() >= 8, "decisions of the first")
        quick = activated(group, eager.id, eager.id, *members)
        slow = activated(group, str(other.path), other.id, *members)
        until(lambda: group.network.committed() >= group.posted - 40, "decisions of the other")
        run_rollback(group.settings, group.out)
        for member in members:
            until(lambda member=member: served(member) == eager.id, "going back")
    print(f"{count} × {embedder}: another policy {quick:.1f} s, another network {slow:.1f} s")
    decisions = group.network.decided(group.posted)
    assert group.network.ledger(group.posted) == group.network.sources
    known = {release.id: release for release in (tiny, eager, other)}
    for each in decisions.values():
        release = known[each["release"]]
        assert each["network"] == release.network_digest
        assert each["policy"] == release.policy.version
        assert each["decision"] == ("pass" if release is tiny else "flag"), each
        nearest = each["images"][0]["prototypes"][0]["id"]
        assert nearest.startswith("other/") == (release is other)
    used = Counter(each["release"] for each in decisions.values())
    assert used.keys() == known.keys()
    info = f'network="{eager.network_digest}",policy="{eager.policy.version}"'
    series = f'moderator_release_info{{{info},release="{eager.id}",role="active"}}'
    for member in members:
        assert member.metric(series) == 1
        assert member.metric("moderator_release_swaps_total") == 3
    # The contract is 5 s on a warm machine; this one is shared with other tests.
    assert quick < 20
    assert {member.stop() for member in members} == {0}


def test_bad_releases_are_refused_and_the_old_one_serves_on(group, releases, drawn) -> None:
    member = group.start().await_ready()
    with pytest.raises(BadRelease, match=r"weights\.safetensors"):
        run_activate(group.settings, releases.damaged, group.out)
    with pytest.raises(BadRelease, match="no release 0123456789abcdef"):
        run_activate(group.settings, "0123456789abcdef", group.out)
    with pytest.raises(BadSettings, match="no release was active before"):
        run_rollback(group.settings, group.out)
    assert read_control(group.settings) == Control()
    for count, bad in enumerate((releases.damaged, "0123456789abcdef"), 1):
        # As if it had been right where it was verified, and came to the members damaged.
        write_control(group.settings, Control(release=bad))
        until(lambda n=count: member.metric(REFUSED) >= n, "its being refused")
        (report,) = json.loads(member.get("/release")[1])["refused"]
        assert (report["release"], report["role"]) == (bad, "active")
        sent = group.post(drawn("revolver"))
        assert group.network.decided(count)[sent]["release"] == releases.tiny.id
    lines = [line for line in member.log.read_text().splitlines() if "refused" in line]
    assert len(lines) == 2, lines
    assert "weights.safetensors" in lines[0]
    assert "Traceback" not in member.log.read_text()
    assert member.ready
    assert activated(group, releases.eager.id, releases.eager.id, member) < 60
    assert json.loads(member.get("/release")[1])["refused"] == []
    assert member.stop() == 0


def test_a_member_started_later_begins_with_what_is_active(group, releases, drawn) -> None:
    run_activate(group.settings, str(releases.other.path), group.out, flags_all=True)
    member = group.start().await_ready()
    assert served(member) == releases.other.id
    sent = group.post(drawn("revolver"))
    assert group.network.decided(1)[sent]["release"] == releases.other.id
    write_control(group.settings, Control(release=releases.damaged))
    late = group.start("b").await_ready()
    assert served(late) == releases.tiny.id
    assert "refused as active" in late.log.read_text()
    assert (member.stop(), late.stop()) == (0, 0)


def test_a_release_with_another_manifest_than_was_activated_is_refused(group, releases) -> None:
    member = group.start().await_ready()
    eager = releases.eager
    write_control(group.settings, Control(release=eager.id, digests={eager.id: "0" * 64}))
    until(lambda: member.metric(REFUSED) == 1, "its being refused")
    (report,) = json.loads(member.get("/release")[1])["refused"]
    assert "another manifest than was activated" in report["reason"]
    assert served(member) == releases.tiny.id
    run_activate(group.settings, eager.id, group.out, flags_all=True)
    assert read_control(group.settings).digests == {eager.id: eager.digest}
    until(lambda: served(member) == eager.id, "the right one")
    assert member.stop() == 0


def test_sigterm_is_heard_while_a_release_is_fetched_at_the_start(group) -> None:
    """From a store that takes the connection and says nothing."""
    write_control(group.settings, Control(release="ab" * 8))
    with socket.create_server(("127.0.0.1", 0)) as store:
        store.settimeout(60)
        url = f"ftp://127.0.0.1:{store.getsockname()[1]}/releases"
        member = group.start(releases_url=url)
        connection, _ = store.accept()
        with connection:
            member.process.send_signal(signal.SIGTERM)
            # The store's own time-out is 30 s.
            assert member.process.wait(20) == 0
    assert "still being loaded" in member.log.read_text()
