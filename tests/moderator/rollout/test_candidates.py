"""Candidates beside the active release: a staged share of posts, and shadows, on the real Kafka."""

import io
import json
import os
import signal
import subprocess

import pytest
from rich.console import Console

from models.errors import BadRelease
from moderator.errors import BadSettings
from moderator.rollout.commands import run_activate, run_shadow, run_stage, run_status
from moderator.rollout.diff import run_diff
from moderator.rollout.marks import marks
from moderator.rollout.register import read_control
from moderator.rollout.staging import is_staged
from tests.moderator.member import Member, until

pytestmark = pytest.mark.timeout(300)

AGREEMENT = (
    'moderator_shadow_decisions_total{{decision="{}",reason="{}",'
    'shadow_decision="flag",shadow_reason="match"}}'
)


def role(member: Member, name: str) -> str | None:
    """Return the release that a member says it has in a role."""
    status, body = member.get("/release")
    report = json.loads(body)[name] if status == 200 else None
    return report and report["release"]


def said(run, *arguments, **given) -> str:
    out = Console(file=io.StringIO(), width=40)
    assert run(*arguments, out, **given) == 0
    return out.file.getvalue()


def dropped(member: Member) -> float:
    lines = member.get("/metrics")[1].splitlines()
    drops = [line for line in lines if line.startswith("moderator_shadow_dropped_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in drops)


def test_a_staged_release_judges_its_share_of_posts_and_no_others(group, releases, drawn) -> None:
    member = group.start().await_ready()
    staged = releases.other
    said(run_stage, group.settings, str(staged.path), 0.4, flags_all=True)
    until(lambda: role(member, "staged") == staged.id, "the staged release")
    sent = {f"post-{n}": group.post(drawn("pistol", 3, "posted")) for n in range(60)}
    decisions = group.network.decided(60)
    for post_id, decision_id in sent.items():
        expected = staged if is_staged(post_id, 0.4) else releases.tiny
        assert decisions[decision_id]["release"] == expected.id, post_id
        assert decisions[decision_id]["network"] == expected.network_digest
    of_it = sum(is_staged(post_id, 0.4) for post_id in sent)
    assert member.metric("moderator_staged_posts_total") == of_it
    said(run_activate, group.settings, staged.id, flags_all=True)
    until(lambda: role(member, "active") == staged.id, "the staged one being active")
    assert role(member, "staged") is None
    last = group.post(drawn("pistol", 3, "posted"))
    assert group.network.decided(61)[last]["release"] == staged.id
    assert member.stop() == 0


@pytest.mark.parametrize("candidate", ["eager", "other", "headed"])
def test_a_shadow_judges_every_post_and_changes_no_decision(
    group, releases, drawn, topics, candidate
) -> None:
    shadow = getattr(releases, candidate)
    member = group.start(shadow_batches="64").await_ready()
    said(run_shadow, group.settings, str(shadow.path))
    until(lambda: role(member, "shadow") == shadow.id, "the shadow")
    pictures = [drawn("revolver"), drawn("pistol", 3, "posted"), b"no image"]
    sent = [group.post(pictures[n % 3]) for n in range(24)]
    decisions = group.network.decided(24)
    assert {each["release"] for each in decisions.values()} == {releases.tiny.id}
    reasons = [decisions[each]["reason"] for each in sent]
    assert reasons == ["match", "no-match", "undecodable"] * 8
    alike = 'moderator_shadow_decisions_total{decision="flag",reason="undecodable",'
    alike += 'shadow_decision="flag",shadow_reason="undecodable"}'
    until(lambda: member.metric(AGREEMENT.format("pass", "no-match")) == 8, "the shadow's passes")
    until(lambda: member.metric(alike) == 8, "what cannot be decoded")
    until(lambda: member.metric(AGREEMENT.format("flag", "match")) == 8, "the shadow's flags")
    assert dropped(member) == 0
    assert member.stop() == 0
    shown = {
        each["decision_id"]: each for each in group.network.decisions(topics.shadow, expect=24)
    }
    assert shown.keys() == decisions.keys()
    assert {each["release"] for each in shown.values()} == {shadow.id}
    assert {each["network"] for each in shown.values()} == {shadow.network_digest}
    assert not any("mechanisms" in each for each in decisions.values())
    named = {n for n, each in shown.items() if "mechanisms" in each}
    assert named == (shown.keys() - set(sent[2::3]) if candidate == "headed" else set())
    told = json.loads(said(run_diff_of(group), as_json=True))
    assert (told["release"], told["compared"], told["unmatched"]) == (shadow.id, 24, 0)
    (kind,) = told["reasons"]
    assert (kind["stream"], kind["shadow"], kind["count"]) == ("pass/no-match", "flag/match", 8)
    assert set(kind["examples"]) <= {sent[n] for n in range(1, 24, 3)}
    assert len(kind["examples"]) == 3
    text = said(run_diff_of(group), as_json=False)
    assert f"shadow {shadow.id}: 24 compared" in text
    assert "pass/no-match -> flag/match: 8" in text


def run_diff_of(group):
    def run(out: Console, *, as_json: bool) -> int:
        return run_diff(group.settings, out, release_id=None, examples=3, as_json=as_json)

    return run


def test_a_shadow_that_hangs_or_dies_delays_nothing_and_is_counted(
    group, releases, drawn, topics
) -> None:
    member = group.start(shadow_topic=f"{topics.shadow}-absent", cache_entries="0").await_ready()
    said(run_shadow, group.settings, releases.other.id)
    until(lambda: role(member, "shadow") == releases.other.id, "the shadow")
    (pid,) = embedders(member)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(40):
        group.post(drawn("pistol", 3, "posted"))
    decisions = group.network.decided(40)
    assert {each["release"] for each in decisions.values()} == {releases.tiny.id}
    behind = 'moderator_shadow_dropped_total{cause="behind"}'
    assert member.metric(behind) > 0
    os.kill(pid, signal.SIGCONT)
    # Its topic is not there: that too is the shadow's own affair.
    unpublished = 'moderator_shadow_dropped_total{cause="unpublished"}'

    def posted_and_not_published() -> bool:
        group.post(drawn("revolver"))
        return member.metric(unpublished) > 0

    until(posted_and_not_published, "the absent topic being noticed")
    before = dropped(member)
    os.kill(pid, signal.SIGKILL)

    def posted_and_felt() -> bool:
        group.post(drawn("revolver"))
        return dropped(member) > before and pid not in embedders(member)

    until(posted_and_felt, "the shadow's death being noticed")
    assert group.network.ledger(group.posted) == group.network.sources
    assert member.metric("moderator_publish_aborts_total") == 0
    said(run_shadow, group.settings, None)
    until(lambda: role(member, "shadow") is None, "the shadow's end")
    until(lambda: not embedders(member), "the end of its process")
    assert member.stop() == 0


def embedders(member: Member) -> list[int]:
    """Return the ids of a member's children that run a network."""
    listed = subprocess.run(
        ["pgrep", "-P", str(member.process.pid), "-f", "spawn_main"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in listed.stdout.split()]


def test_candidates_are_verified_before_anything_is_written(group, releases) -> None:
    before = read_control(group.settings)
    with pytest.raises(BadRelease, match=r"weights\.safetensors"):
        said(run_shadow, group.settings, releases.damaged)
    with pytest.raises(BadRelease, match=r"weights\.safetensors"):
        said(run_stage, group.settings, releases.damaged, 0.5)
    with pytest.raises(BadRelease, match="flags nearly everything"):
        said(run_stage, group.settings, releases.eager.id, 0.5)
    with pytest.raises(BadRelease, match="flags nearly everything"):
        said(run_activate, group.settings, releases.eager.id)
    with pytest.raises(BadSettings, match=r"--fraction 1\.5"):
        said(run_stage, group.settings, releases.eager.id, 1.5)
    with pytest.raises(BadSettings, match="has no decisions"):
        said(run_diff_of(group), as_json=True)
    assert read_control(group.settings) == before
    said(run_activate, group.settings, releases.eager.id, flags_all=True)
    said(run_shadow, group.settings, releases.other.id)
    with pytest.raises(BadSettings, match="is the active one"):
        said(run_stage, group.settings, releases.eager.id, 0.5, flags_all=True)
    assert marks(group.settings) == {releases.eager.id: "active", releases.other.id: "shadow"}
    shown = said(run_status, group.settings, as_json=False)
    assert f"active  {releases.eager.id}" in shown
    assert f"shadow  {releases.other.id}" in shown
