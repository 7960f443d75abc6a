"""Regions from picture to decision: a small firearm in a scene, by the real parts.

The network is that of the starter release. Its input is twice as large each way here, and its
regions are quarters, so that a drawing in a quarter of a scene is seen as the index knows it.
"""

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from models.head import Head, HeadClass
from models.policy import HeadRule, Kernel, Policy
from models.prototypes import Prototypes
from models.release import Release, load_release, write_release
from models.types import Types
from moderator.assembly import Parts, build
from moderator.batch import Picture
from moderator.decisions import Decided, outgoing, to_json
from moderator.demo.drawings import draw, names
from moderator.examine import _take_fetched
from moderator.judge import run_decide
from moderator.records import PostImage
from moderator.settings import Settings, load_settings
from tests.moderator.layouts import still
from tests.moderator.schemas import schema
from tests.moderator.steps import decided

pytestmark = pytest.mark.slow

STARTER = Path(__file__).parents[2] / "models" / "starter"
QUARTER = 300
"""Pixels of a side of a drawing in a scene, which has twice as many."""

POLICY = Policy(0.8, near_miss=0.01, score_slope=20.0, neighbours=8, region_margin=0.01)


def picture(name: str, seed: int = 0, variant: str = "posted") -> Image.Image:
    drawn = Image.fromarray(np.asarray(draw(name, seed, variant).convert("RGB")))
    return drawn.resize((QUARTER, QUARTER), Image.Resampling.BICUBIC)


def scene(place: int | None, seed: int = 0) -> bytes:
    """Return a PNG of four drawings, the one at ``place`` an indexed revolver."""
    harmless = names("harmless")
    canvas = Image.new("RGB", (2 * QUARTER, 2 * QUARTER))
    for number in range(4):
        part = picture(harmless[(number + seed) % len(harmless)], seed + number)
        if number == place:
            part = picture("revolver", 0, "indexed")
        canvas.paste(part, corner(number))
    file = io.BytesIO()
    canvas.save(file, "PNG")
    return file.getvalue()


def corner(place: int) -> tuple[int, int]:
    return place % 2 * QUARTER, place // 2 * QUARTER


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Release:
    return released(tmp_path_factory.mktemp("releases") / "regional", POLICY)


def released(out: Path, policy: Policy) -> Release:
    """Write a release of the starter's network whose regions are quarters.

    Where the policy judges by a head, that has a logit of 10 times the cosine of the features to
    each drawing's, and none for its one kind of look-alike.
    """
    from models.network import RetrievalNetwork

    starter = load_release(STARTER).load_network(fold=False)
    # Whole cells of the map, so that a quarter is one region exactly.
    side = starter.spec.input.sizes[0][0] // 32 * 32
    cells = starter.map_size(side, side)[0]
    spec = replace(
        starter.spec,
        input=replace(starter.spec.input, sizes=((2 * side, 2 * side),)),
        regions=((cells, cells),),
    )
    network = RetrievalNetwork(spec).eval()
    network.load_state_dict(starter.state_dict())
    firearms = names("firearm")
    drawings = [picture(name, 0, "indexed").resize((side, side)) for name in firearms]
    known = np.stack([np.asarray(drawing) for drawing in drawings])
    return write_release(
        out,
        head=head_of(starter, known) if policy.head else None,
        network=network,
        prototypes=Prototypes(
            starter.embed(known),
            tuple(f"drawing/{name}" for name in firearms),
            firearms,
            ("firearm",) * len(firearms),
        ),
        types=Types({name: ("small", name) for name in firearms}),
        policy=policy,
        report={},
        created="2026-01-02T03:04:05Z",
        git_commit=None,
        dataset_digest=None,
    )


def head_of(network, drawings: np.ndarray) -> Head:
    import torch

    with torch.inference_mode():
        features = network._pooled(network.normalise(torch.from_numpy(drawings)), regions=False)
    rows = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    return Head(
        10 * np.concatenate([rows, np.zeros_like(rows[:1])]),
        np.zeros(len(rows) + 1, np.float32),
        (*(HeadClass(n, "firearm") for n in names("firearm")), HeadClass("toy", "lookalike")),
    )


def settings_of(release: Release, **given: str) -> Settings:
    return load_settings(
        {"release": str(release.path), "decode_processes": "1", **given}, environ={}
    )


@pytest.fixture(scope="module")
def parts(release) -> Iterator[Parts]:
    with build(settings_of(release), release) as parts:
        yield parts


def region(decision: Decided) -> tuple[int, int, int, int]:
    box = to_json(decision)["images"][0]["region"]
    return box["x"], box["y"], box["width"], box["height"]


def test_a_small_firearm_is_found_where_it_lies(parts, release) -> None:
    found = decided(parts, *(scene(place) for place in range(4)), scene(None))
    assert [one.decision.reason for one in found] == ["match"] * 4 + ["no-match"]
    for place, one in enumerate(found[:4]):
        assert region(one) == (*corner(place), QUARTER, QUARTER)
        assert one.images[0].decision.types[0].type == "revolver"
    assert region(found[4]) == (0, 0, 2 * QUARTER, 2 * QUARTER)
    assert all(not list(schema("decision-1").iter_errors(to_json(one))) for one in found)


def test_the_flagged_record_carries_the_embedding_of_the_region(parts, release) -> None:
    (one,) = decided(parts, scene(2, seed=1))
    (record,) = [out for out in outgoing(one, room=10_000) if out.role == "flagged"]
    (image,) = json.loads(record.value)["images"]
    embedding = np.frombuffer(base64.b64decode(image["embedding"]), "<f2").astype(np.float32)
    prototypes = release.prototypes
    similarity = float(embedding @ prototypes.embeddings[prototypes.types.index("revolver")])
    assert similarity == pytest.approx(image["prototypes"][0]["similarity"], abs=1e-4)
    assert similarity > POLICY.threshold + POLICY.region_margin


def test_a_picture_that_comes_again_is_decided_alike_from_the_cache(parts) -> None:
    data = scene(1, seed=2)
    first, second = (decided(parts, data)[0] for _ in range(2))
    assert [one.images[0].cached for one in (first, second)] == [False, True]
    assert region(first) == region(second) == (*corner(1), QUARTER, QUARTER)
    assert first.images[0].decision == second.images[0].decision
    assert np.array_equal(first.images[0].embedding, second.images[0].embedding)


def test_what_the_cache_kept_for_a_member_without_regions_is_embedded_anew(parts) -> None:
    from moderator.caching.cached import Cached
    from moderator.records import digest

    data = scene(3, seed=4)
    row = np.zeros((1, parts.release.index.dimension), np.float16)
    row[0, 0] = 1
    parts.cache.put_many({digest(data): Cached(row, still(2 * QUARTER, 2 * QUARTER))})
    (one,) = decided(parts, data)
    assert not one.images[0].cached
    assert region(one) == (*corner(3), QUARTER, QUARTER)


@pytest.mark.slow
def test_regions_are_judged_only_where_the_policy_says_so(release, tmp_path) -> None:
    plain = released(tmp_path / "plain", replace(POLICY, region_margin=None))
    with build(settings_of(plain), plain) as parts:
        assert parts.embedder.boxes == {}
        (one,) = decided(parts, scene(0))
    assert one.decision.reason == "no-match"
    assert region(one) == (0, 0, 2 * QUARTER, 2 * QUARTER)


@pytest.mark.slow
def test_files_are_decided_with_their_regions_by_an_embedder_process(release, tmp_path) -> None:
    (tmp_path / "scene.png").write_bytes(scene(3))
    (tmp_path / "whole.png").write_bytes(scene(None))
    out = Console(file=io.StringIO())
    paths = [tmp_path / "scene.png", tmp_path / "whole.png"]
    settings = settings_of(release, embedder="process")
    run_decide(settings, paths, out=out, err=Console(file=io.StringIO()), verbose=True)
    lines = out.file.getvalue().splitlines()
    assert lines[0].split("\t")[1:3] == ["flag", "match"]
    assert lines[1] == "    region 300x300 at 300,300 of 600x600"
    assert sum("region" in line for line in lines) == 1


@pytest.mark.parametrize("embedder", ["in-process", "process"])
def test_a_head_judges_regions_by_their_own_logits(tmp_path, embedder) -> None:
    rule = HeadRule(0.1, Kernel(20.0, 10.0), levels={"type": 0.1})
    # The whole scenes reach 7.8, quarters that hold the drawing 9 and more.
    policy = Policy(8.0, neighbours=8, region_margin=0.5, part_margin=0.5, head=rule)
    release = released(tmp_path / "headed", policy)
    with build(settings_of(release, embedder=embedder), release) as parts:
        found = decided(parts, *(scene(place) for place in range(4)), scene(None))
        assert [one.decision.reason for one in found] == ["match"] * 4 + ["no-match"]
        for place, one in enumerate(found[:4]):
            assert region(one) == (*corner(place), QUARTER, QUARTER)
            assert one.decision.types[0].type == "revolver"
            assert one.decision.types[0].probability > 0.9
            assert one.images[0].embedding.shape == (release.index.dimension,)
        again = decided(parts, scene(1))[0]
        assert again.images[0].cached
        assert again.images[0].decision == found[1].images[0].decision


# --- what is left out when posts are late


NEVER = 2**53
"""A timestamp that lies ahead, so that its post is not late."""


def animation(*frames: bytes) -> bytes:
    first, *others = (Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames)
    file = io.BytesIO()
    first.save(file, "PNG", save_all=True, append_images=others, duration=100)
    return file.getvalue()


def test_an_animation_with_frames_out_of_reach_is_a_match_or_not_judged(release) -> None:
    frames = [Image.new("RGB", (2 * QUARTER, 2 * QUARTER), (0, 0, n)) for n in range(0, 250, 10)]
    blank = [encoded(frame) for frame in frames]
    given = {"max_image_pixels": str(10 * (2 * QUARTER) ** 2)}
    with build(settings_of(release, **given), release) as parts:
        for _ in range(2):
            whole, part, shown = decided(
                parts, animation(*blank[:10]), animation(*blank), animation(scene(1), *blank)
            )
            said = [(each.decision.decision, each.decision.reason) for each in (whole, part, shown)]
            assert said == [("pass", "no-match"), ("flag", "undecodable"), ("flag", "match")]
            body = to_json(part)["images"][0]
            assert (body["cause"], body["frame"], body["region"]) == ("reach", None, None)
            assert body["frames"] == {"judged": 3, "reached": 10, "beyond": True}
            assert to_json(whole)["images"][0]["frames"]["beyond"] is False
            assert [out.role for out in outgoing(part, room=10_000)][-1] == "dead_letter"
            for each in (whole, part, shown):
                assert not list(schema("decision-1").iter_errors(to_json(each)))
    # What was judged, and that there was more, is kept with the embeddings.
    assert all(each.images[0].cached for each in (whole, part, shown))


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_firearm_that_hides_on_one_background_is_found(parts, grey) -> None:
    shown = Image.open(io.BytesIO(scene(2))).convert("L")
    hidden = Image.new("RGB", shown.size, (grey,) * 3)
    hidden.putalpha(shown.point(lambda value: 255 - value if grey < 128 else value))
    (one,) = decided(parts, encoded(hidden))
    image = to_json(one)["images"][0]
    assert image["background"] in ("white", "black")
    assert one.images[0].view.background == image["background"]
    assert max(each["similarity"] for each in image["prototypes"]) > 0.6


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def shed(decision: Decided) -> list[str] | None:
    body = to_json(decision)
    assert not list(schema("decision-1").iter_errors(body))
    return body.get("shed")


@pytest.fixture(params=["in-process", "process"])
def hasty(request, release) -> Iterator[Parts]:
    """Parts of which each late batch raises the level by one, and each other lowers it by one."""
    given = {"age_objective": "60", "shed_step": "1e-6", "shed_recovery": "1e-6"}
    with build(settings_of(release, embedder=request.param, **given), release) as parts:
        yield parts


def test_late_posts_are_judged_without_regions_then_by_one_frame_and_fresh_ones_whole(
    hasty,
) -> None:
    known, small, other = scene(1, seed=5), scene(2, seed=6), scene(None, seed=7)
    moving = animation(other, small)
    (one,) = decided(hasty, known, timestamp=NEVER)
    assert (one.decision.reason, shed(one)) == ("match", None)
    # Late posts are known for such when they are begun: none of a backlog is judged whole.
    found = decided(hasty, known, small, moving)
    assert [each.decision.reason for each in found] == ["match", "no-match", "no-match"]
    assert [shed(each) for each in found] == [None, ["regions"], ["regions"]]
    assert [each.images[0].cached for each in found] == [True, False, False]
    assert region(found[0]) == (*corner(1), QUARTER, QUARTER)
    found = decided(hasty, known, small, moving)
    assert [shed(each) for each in found] == [None, ["regions"], ["regions", "frames"]]
    assert [each.images[0].cached for each in found] == [True, False, False]
    for _ in range(3):
        decided(hasty, known, timestamp=NEVER)
    # What was seen in part was not kept: all of it is looked at now.
    found = decided(hasty, small, moving, timestamp=NEVER)
    assert [each.decision.reason for each in found] == ["match", "match"]
    assert [shed(each) for each in found] == [None, None]
    assert not any(each.images[0].cached for each in found)
    assert found[1].images[0].view.frame == 1
    found = decided(hasty, small, moving, timestamp=NEVER)
    assert all(each.images[0].cached for each in found)


def test_where_there_are_no_regions_none_are_left_out_and_stills_are_kept(
    release, tmp_path
) -> None:
    plain = released(tmp_path / "plain", replace(POLICY, region_margin=None))
    given = {"age_objective": "60", "shed_step": "1e-6"}
    with build(settings_of(plain, **given), plain) as parts:
        still = scene(None)
        for _ in range(3):
            decided(parts, scene(1))
        (one,) = decided(parts, still)
        (again,) = decided(parts, still)
    assert (shed(one), shed(again), again.images[0].cached) == (None, None, True)


@pytest.mark.parametrize(("begun", "cause"), [(True, "timeout"), (False, "busy")])
def test_what_was_still_waiting_for_its_turn_is_blamed_on_no_host(begun, cause) -> None:
    fetching: Future[bytes] = Future()
    if begun:
        fetching.set_running_or_notify_cancel()
    late = Picture(PostImage("0", url="https://images.example/a"), fetching=fetching)
    _take_fetched(late, 0.0)
    assert late.fault == ("unreachable", cause)
    # What comes of it later is held by nobody.
    assert late.fetching is None
    assert fetching.cancelled() is not begun
