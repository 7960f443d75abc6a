"""A release with a head from picture to decision, by the real parts."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from models.head import Head
from models.release import Release
from moderator.assembly import Parts, build, same_embeddings
from moderator.caching.cached import Cached
from moderator.decisions import Decided, outgoing, to_json
from moderator.demo.drawings import names
from moderator.judge import run_decide
from moderator.match import Added
from moderator.records import digest
from moderator.rollout.sanity import flags_nearly_all
from moderator.settings import Settings, load_settings
from tests.moderator.heads import POLICY, near_rule, with_head
from tests.moderator.layouts import still
from tests.moderator.schemas import schema
from tests.moderator.steps import decided


@pytest.fixture(scope="module")
def release(tiny_release, tmp_path_factory) -> Release:
    return with_head(tiny_release, tmp_path_factory.mktemp("releases") / "headed")


def settings_of(release: Release, **given: str) -> Settings:
    return load_settings(
        {"release": str(release.path), "decode_processes": "1", **given}, environ={}
    )


@pytest.fixture(params=["in-process", pytest.param("process", marks=pytest.mark.slow)])
def parts(request, release) -> Iterator[Parts]:
    with build(settings_of(release, embedder=request.param), release) as parts:
        yield parts


def said(found: list[Decided]) -> list[tuple[str, str | None]]:
    """Return what each was decided for, and its best type."""
    return [
        (each.decision.reason, each.decision.types[0].type if each.decision.types else None)
        for each in found
    ]


def added(parts: Parts, kind: str, name: str, row: np.ndarray, family: str = "small") -> None:
    """Add a prototype as the overlay does."""
    embedding = row.astype(np.float32) / np.linalg.norm(row.astype(np.float32))
    change = Added(f"review/{name}", name, kind, family, name.title(), embedding)
    parts.matcher.apply({change.prototype_id: change}, parts.matcher.served.overlay + 1)


def test_a_picture_is_named_by_type_family_and_mechanism(parts, drawn) -> None:
    every = names("firearm")
    found = decided(parts, *(drawn(name) for name in every), *map(drawn, names("harmless")))
    guns, others = found[: len(every)], found[len(every) :]
    assert said(guns) == [("match", name) for name in every]
    assert {reason for reason, _ in said(others)} <= {"no-match", "lookalike"}
    body = to_json(guns[every.index("pistol")])
    for level in (body, body["images"][0]):
        best = level["types"][0]
        assert (best["type"], best["probability"] > 0.9) == ("pistol", True)
        assert level["mechanisms"][0]["mechanism"] == "automatic"
        assert level["families"][0]["family"] == "small"
        assert level["mechanisms"][0]["score"] >= best["probability"]
        for name in ("mechanisms", "families"):
            assert sum(each["score"] for each in level[name]) == pytest.approx(1, abs=1e-3)
    # One that names no model has no probability, and takes none from the others.
    vague = to_json(guns[every.index("sniper")])
    assert "probability" not in vague["types"][0]
    # A pass has no types, and so nothing to be named.
    assert not {"mechanisms", "families"} & to_json(others[0]).keys()


def test_what_comes_again_is_decided_alike_from_the_cache(parts, drawn) -> None:
    first, second = (decided(parts, drawn("revolver", 1))[0] for _ in range(2))
    assert [one.images[0].cached for one in (first, second)] == [False, True]
    assert first.images[0].decision == second.images[0].decision
    assert first.images[0].decision.mechanisms[0].name == "revolver"


def test_a_flagged_record_carries_the_embedding_alone(parts, drawn, release) -> None:
    (one,) = decided(parts, drawn("pistol"))
    (record,) = [out for out in outgoing(one, room=10_000) if out.role == "flagged"]
    assert not list(schema("flagged-1").iter_errors(json.loads(record.value)))
    raw = base64.b64decode(json.loads(record.value)["images"][0]["embedding"])
    row = np.frombuffer(raw, "<f2").astype(np.float32)
    assert row.shape == (release.index.dimension,)
    places = [release.prototypes.ids.index(f"drawing/pistol/{seed}") for seed in (0, 1)]
    assert (release.prototypes.embeddings[places] @ row).max() > 0.999


def test_a_row_of_another_width_is_not_taken_from_the_cache(parts, drawn, release) -> None:
    data = drawn("pistol")
    row = np.zeros((1, release.index.dimension), np.float16)
    row[0, 0] = 1
    parts.cache.put_many({digest(data): Cached(row, still(64, 64))})
    (one,) = decided(parts, data)
    assert not one.images[0].cached
    assert said([one]) == [("match", "pistol")]


@pytest.mark.parametrize(("kind", "name"), [("firearm", "zip_gun"), ("firearm", "revolver")])
def test_an_added_firearm_is_found_at_once_whether_its_type_is_new_or_not(
    parts, drawn, kind, name
) -> None:
    picture, *others = drawn("shotgun", 1, "posted"), *map(drawn, names("harmless"))
    (before, *rest) = decided(parts, picture, *others)
    assert before.decision.decision == "pass"
    added(parts, kind, name, before.images[0].embedding)
    (after, *rest_after) = decided(parts, picture, *others)
    assert said([after]) == [("match", name)]
    assert after.images[0].decision.types[0].probability > 0.9
    assert after.images[0].decision.evidence[0].id == f"review/{name}"
    best = after.decision.mechanisms[0]
    assert (best.name, best.score > 0.9) == ("revolver" if name == "revolver" else "unknown", True)
    assert said(rest_after) == said(rest)


def test_an_added_look_alike_passes_at_once(parts, drawn) -> None:
    picture, *others = (drawn(name) for name in names("firearm"))
    before, *rest = decided(parts, picture, *others)
    assert before.decision.decision == "flag"
    added(parts, "lookalike", "water_pistol", before.images[0].embedding)
    after, *rest_after = decided(parts, picture, *others)
    assert after.decision.decision == "pass"
    assert said(rest_after) == said(rest)


def test_the_near_rule_holds_with_a_head(tiny_release, tmp_path, drawn) -> None:
    """Prototypes that were added decide near themselves though the score gives them nothing."""
    release = with_head(tiny_release, tmp_path / "near", near_rule(0.002))
    gun, harmless = drawn("pistol"), drawn(names("harmless")[0])
    with build(settings_of(release), release) as parts:
        first, second = decided(parts, gun, harmless)
        added(parts, "lookalike", "water_pistol", first.images[0].embedding)
        added(parts, "firearm", "zip_gun", second.images[0].embedding)
        first, second = decided(parts, gun, harmless)
    assert (first.decision.decision, first.decision.reason) == ("pass", "lookalike")
    assert said([second]) == [("match", "zip_gun")]


def test_a_look_alike_that_is_nearer_says_why_nothing_is_reached(parts, drawn) -> None:
    (one,) = decided(parts, drawn(names("lookalike")[0]))
    assert one.decision.decision == "pass"
    # Beside it lies a firearm, but nothing as near.
    assert one.decision.reason == "lookalike"


def test_what_is_of_nothing_known_is_no_match_whatever_the_head_says(
    tiny_release, tmp_path, drawn
) -> None:
    policy = replace(POLICY, threshold=-100.0, least_similarity=0.9999)
    release = with_head(tiny_release, tmp_path / "strict", policy)
    with build(settings_of(release), release) as parts:
        found = decided(parts, drawn("pistol"), drawn(names("harmless")[0]))
    assert [each.decision.reason for each in found] == ["match", "no-match"]


def test_releases_of_one_network_share_it_only_with_the_same_head(
    tiny_release, release, tmp_path, drawn
) -> None:
    """A shadow has its own network then, and each decides as it does alone."""
    again = with_head(tiny_release, tmp_path / "again", replace(POLICY, threshold=2.0))
    assert release.network_digest == tiny_release.network_digest
    assert not same_embeddings(tiny_release, release)
    assert not same_embeddings(release, tiny_release)
    assert same_embeddings(again, release)
    picture = drawn("pistol")
    with build(settings_of(tiny_release), tiny_release) as active:
        alone = decided(active, picture)
        with build(settings_of(release), release, beside=active) as beside:
            assert beside.embedder is not active.embedder
            (other,) = decided(beside, picture)
            assert not other.images[0].cached
            assert other.decision.mechanisms
        assert decided(active, picture)[0].images[0].decision == alone[0].images[0].decision
        assert not alone[0].decision.mechanisms


def test_a_release_with_a_head_that_flags_nearly_everything_is_found(tiny_release, tmp_path):
    good = with_head(tiny_release, tmp_path / "good")
    bad = with_head(tiny_release, tmp_path / "bad", replace(POLICY, threshold=-1000.0))
    assert flags_nearly_all(good) is None
    assert "flags nearly everything" in flags_nearly_all(bad)


def test_people_are_told_the_surest_level_first(release, tmp_path, drawn) -> None:
    files = {name: tmp_path / f"{name}.jpg" for name in ("revolver", "kalashnikov")}
    for name, path in files.items():
        path.write_bytes(drawn(name))
    out, err = (Console(file=io.StringIO()) for _ in range(2))
    run_decide(settings_of(release), list(files.values()), out=out, err=err)
    revolver, rifle = (line.split("\t")[3] for line in out.file.getvalue().splitlines())
    assert revolver.startswith("revolver ")
    assert "; probably Revolver 0." in revolver or "; probably Revolver 1." in revolver
    assert rifle.startswith("military ")
    assert "; probably Kalashnikov " in rifle


def test_members_share_rows_of_one_head_in_redis_and_no_others(
    tiny_release, release, tmp_path, drawn, redis_service
) -> None:
    other = with_head(tiny_release, tmp_path / "other", head=changed(release.head))
    picture = drawn("carbine", 1)
    cached = []
    for each in (release, release, other, tiny_release, tiny_release):
        given = {"redis_url": redis_service.url, "redis_timeout": "5"}
        with build(settings_of(each, **given), each) as parts:
            (one,) = decided(parts, picture)
            assert one.decision.decision == "flag"
            cached.append(one.images[0].cached)
    assert cached == [False, True, False, False, True]


def changed(head: Head) -> Head:
    return Head(head.weight, head.bias + np.float32(0.01), head.classes)
