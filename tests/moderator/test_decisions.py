import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.decide import (
    Actions,
    Evidence,
    ImageDecision,
    LevelScore,
    PostDecision,
    TypeScore,
    decide_post,
    unjudged,
)
from moderator.decisions import Decided, DecidedImage, Provenance, outgoing, to_json
from moderator.decoding.view import Layout, View
from moderator.records import MAX_ID, Post, Record, digest, parse_post
from tests.moderator.layouts import layout, still
from tests.moderator.schemas import schema

NETWORK = "sha256:" + "ab" * 32
DECISION_FIELDS = {
    "schema", "decision_id", "post_id", "decision", "reason", "types", "images", "release",
    "network", "overlay", "policy", "cached", "source", "decided_at", "seconds",
}  # fmt: skip
IMAGE_FIELDS = {
    "image_id", "decision", "reason", "types", "prototypes", "region", "digest", "evidence",
}  # fmt: skip
ROOM = 100_000
SHOWN = layout(640, 480, (64, 64), (64, 64))


def record(value=b"value", key=b"p1", headers=(), topic="posts") -> Record:
    return Record(topic, 3, 7, 1_700_000_000_000, key, value, tuple(headers))


def matched(image_id="0", *, cached=False, dimension=4) -> DecidedImage:
    decision = ImageDecision(
        "flag",
        "match",
        (TypeScore("glock", "pistol", "Glock 17", 0.93),),
        (Evidence("a/1", "glock", "firearm", 0.91), Evidence("t/1", "toy", "lookalike", 0.4)),
        view=1,
    )
    embedding = np.arange(dimension, dtype=np.float16) / dimension
    return DecidedImage(image_id, decision, digest(b"x"), SHOWN, cached, embedding)


def passed(image_id="1", *, cached=True) -> DecidedImage:
    embedding = np.ones(4, np.float16)
    return DecidedImage(
        image_id,
        ImageDecision("pass", "no-match", view=0),
        digest(b"y"),
        still(2, 1),
        cached,
        embedding,
    )


def broken(image_id="2", reason="undecodable", cause="corrupt") -> DecidedImage:
    return DecidedImage(image_id, unjudged(reason, cause, Actions()))


def decided(*images: DecidedImage, post: Post | None = None, **given) -> Decided:
    post = post or Post(record(), "p1", "a1", "2024-05-01T00:00:00Z")
    if post.deleted:
        decision = PostDecision("pass", "deleted")
    elif post.fault is not None:
        decision = PostDecision("flag", "malformed", cause=post.fault)
    else:
        decision = decide_post([image.decision for image in images], 5)
    return Decided(
        post=post,
        decision=decision,
        images=images,
        provenance=Provenance("0123456789abcdef", NETWORK, "fedcba9876543210", 42),
        decided_at=1_700_000_001_500.0,
        seconds={"decode": 0.01234567, "total": 0.2},
        **given,
    )


def published(found: Decided, room: int = ROOM) -> dict:
    return {each.role: each for each in outgoing(found, room=room)}


def body_of(found: Decided, role: str = "decisions") -> dict:
    return json.loads(published(found)[role].value)


def header(letter, name: str) -> str | None:
    values = [value.decode() for key, value in letter.headers if key == name]
    assert len(values) <= 1
    return values[0] if values else None


def test_a_decision_holds_every_field_of_the_design():
    body = to_json(decided(matched(), passed(), broken()))
    assert body.keys() >= DECISION_FIELDS
    assert all(image.keys() >= IMAGE_FIELDS for image in body["images"])
    assert body["schema"] == "decision/1"
    assert (body["decision_id"], body["post_id"]) == ("posts-3-7", "p1")
    assert (body["author_id"], body["created_at"]) == ("a1", "2024-05-01T00:00:00Z")
    assert (body["decision"], body["reason"], body["cause"]) == ("flag", "match", None)
    assert body["types"] == [
        {"type": "glock", "family": "pistol", "name": "Glock 17", "score": 0.93}
    ]
    assert (body["release"], body["network"]) == ("0123456789abcdef", NETWORK)
    assert (body["policy"], body["overlay"]) == ("fedcba9876543210", 42)
    assert body["source"] == {"topic": "posts", "partition": 3, "offset": 7}
    assert body["decided_at"] == "2023-11-14T22:13:21.500Z"
    assert body["seconds"] == {"decode": 0.012346, "total": 0.2}
    assert [image["image_id"] for image in body["images"]] == ["0", "1", "2"]


def test_a_judged_image_has_its_region_evidence_and_digest():
    image = to_json(decided(matched()))["images"][0]
    assert image["region"] == {"x": 0, "y": 0, "width": 640, "height": 480}
    assert (image["frame"], image["digest"], image["evidence"]) == (2, digest(b"x"), None)
    assert image["prototypes"] == [
        {"id": "a/1", "type": "glock", "kind": "firearm", "similarity": 0.91},
        {"id": "t/1", "type": "toy", "kind": "lookalike", "similarity": 0.4},
    ]


def test_an_image_that_was_not_judged_has_nulls_in_their_place():
    image = to_json(decided(broken()))["images"][0]
    nulls = {name for name, value in image.items() if value is None}
    assert nulls == {"region", "frame", "digest", "width", "height", "evidence"}
    assert (image["types"], image["prototypes"], image["cause"]) == ([], [], "corrupt")


@pytest.mark.parametrize(
    ("images", "cached"),
    [
        ([passed(cached=True)], True),
        ([passed(cached=True), matched(cached=True)], True),
        ([passed(cached=True), matched(cached=False)], False),
        ([broken()], False),
    ],
)
def test_a_post_is_cached_where_all_its_images_are(images, cached):
    assert to_json(decided(*images))["cached"] is cached


@pytest.mark.parametrize(
    ("found", "roles"),
    [
        (decided(passed()), ["decisions"]),
        (decided(matched(), passed()), ["decisions", "flagged"]),
        (decided(passed(), broken()), ["decisions", "flagged", "dead_letter"]),
        (decided(matched(), broken()), ["decisions", "flagged", "dead_letter"]),
        (decided(post=Post(record(None), "p1", deleted=True)), ["decisions"]),
        (
            decided(post=Post(record(), "p1", fault="no images")),
            ["decisions", "flagged", "dead_letter"],
        ),
    ],
)
def test_what_is_published_of_a_post(found, roles):
    records = outgoing(found, room=ROOM)
    assert [each.role for each in records] == roles
    assert all(each.key == b"p1" for each in records)
    schema("decision-1").validate(json.loads(records[0].value))
    if "flagged" in roles:
        schema("flagged-1").validate(json.loads(records[1].value))


def test_what_could_not_be_judged_is_a_dead_letter_even_where_a_setting_lets_it_pass():
    image = DecidedImage("0", unjudged("undecodable", "empty", Actions(undecodable="pass")))
    assert published(decided(image)).keys() == {"decisions", "dead_letter"}


def test_a_deleted_post_passes():
    body = body_of(decided(post=Post(record(None), "p1", deleted=True)))
    assert (body["decision"], body["reason"], body["images"]) == ("pass", "deleted", [])
    assert (body["types"], body["cause"], body["cached"]) == ([], None, False)


def test_a_flagged_record_is_the_decision_with_embeddings():
    found = decided(matched(), broken())
    plain, flagged = body_of(found), body_of(found, "flagged")
    assert flagged["schema"] == "flagged/1"
    embeddings = [image.pop("embedding") for image in flagged["images"]]
    assert {**flagged, "schema": "decision/1"} == plain
    assert embeddings[1] is None
    values = np.frombuffer(base64.b64decode(embeddings[0]), "<f2")
    assert values.tolist() == found.images[0].embedding.tolist()


def test_a_dead_letter_is_the_record_as_it_came_with_connects_headers():
    came = [("content-type", b"image/png"), ("a", b"1"), ("a", b"2")]
    post = parse_post(record(b"x" * 50, b"\xff", came), max_bytes=10, max_images=3)
    letter = published(decided(post=post))["dead_letter"]
    assert (letter.key, letter.value) == (b"\xff", b"x" * 50)
    assert [each for each in letter.headers if each[0] in {"content-type", "a"}] == came
    expected = {
        "__connect.errors.topic": "posts",
        "__connect.errors.partition": "3",
        "__connect.errors.offset": "7",
        "__connect.errors.connector.name": "moderator",
        "__connect.errors.stage": "VALUE_CONVERTER",
        "__connect.errors.class.name": "moderator",
        "__connect.errors.exception.class.name": "malformed",
        "__connect.errors.exception.message": "malformed: 50 bytes, over the limit of 10",
        "moderator.timestamp": "1700000000000",
    }
    assert {name: header(letter, name) for name in expected} == expected
    assert header(letter, "moderator.body") is None


def test_a_dead_letter_names_every_image_that_could_not_be_judged():
    found = decided(passed(), broken("1"), broken("2", "unreachable", "timeout"))
    letter = published(found)["dead_letter"]
    message = header(letter, "__connect.errors.exception.message")
    assert message == "undecodable: corrupt; unreachable: timeout"
    assert header(letter, "__connect.errors.stage") == "TRANSFORMATION"


def test_a_dead_letter_that_comes_again_says_what_is_wrong_now():
    stale = [("__connect.errors.topic", b"old"), ("moderator.body", b"omitted: 9 bytes")]
    found = decided(post=Post(record(headers=stale), "p1", fault="no images"))
    letter = published(found)["dead_letter"]
    assert header(letter, "__connect.errors.topic") == "posts"
    assert header(letter, "moderator.body") is None


def test_a_dead_letter_is_never_null():
    letter = published(decided(post=Post(record(None, None), "posts-3-7", fault="lost")))
    assert (letter["dead_letter"].key, letter["dead_letter"].value) == (None, b"")


def size(letter) -> int:
    headers = sum(len(name.encode()) + len(value) for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value) + headers


def test_a_dead_letter_that_would_not_fit_goes_without_its_body():
    large = record(b"x" * 90_000, b"k", [("content-type", b"image/png")])
    found = decided(post=Post(large, "p1", fault="large"))
    letter = published(found, room=80_000)["dead_letter"]
    assert (letter.key, letter.value) == (b"k", b"")
    assert header(letter, "moderator.body") == "omitted: 90000 bytes"
    assert header(letter, "content-type") == "image/png"
    assert published(found, room=91_000)["dead_letter"].value == large.value


headers = st.lists(st.tuples(st.text("aé", max_size=400), st.binary(max_size=600)), max_size=80)


@given(
    value=st.none() | st.integers(0, 100_000).map(bytes),
    key=st.none() | st.sampled_from([b"", b"k", b"k" * 512, b"k" * 60_000]),
    headers=headers,
    room=st.integers(0, 120_000),
)
def test_a_dead_letter_fits_whatever_the_record_held(value, key, headers, room):
    found = decided(post=Post(record(value, key, headers), "p1", fault="x" * 5000))
    letter = published(found, room=room)["dead_letter"]
    assert size(letter) <= max(room, 32_000)
    assert letter.value in {b"", value}
    if letter.value != (value or b""):
        assert header(letter, "moderator.body") == f"omitted: {len(value)} bytes"


def test_a_decision_of_twenty_images_with_huge_ids_stays_below_a_megabyte():
    hostile = "\x00" * MAX_ID
    body = {
        "post_id": hostile,
        "author_id": hostile,
        "created_at": hostile,
        "images": [{"image_id": hostile, "data": ""}] * 20,
    }
    came = record(json.dumps(body).encode(), hostile.encode())
    post = parse_post(came, max_bytes=8 * 2**20, max_images=20)
    assert len(post.images) == 20
    long = "\N{PISTOL}" * 256
    decision = ImageDecision(
        "flag",
        "match",
        tuple(TypeScore(f"{place}{long}", long, long, 0.5) for place in range(5)),
        tuple(Evidence(long, long, "firearm", 0.5) for _ in range(5)),
        view=0,
        families=tuple(LevelScore(f"{place}{long}", 0.2) for place in range(5)),
    )
    embedding = np.ones(2048, np.float16)
    images = [
        DecidedImage(image.image_id, decision, digest(b""), still(9, 9), False, embedding)
        for image in post.images
    ]
    for each in outgoing(decided(*images, post=post), room=ROOM):
        assert len(each.value) < 1_000_000


def test_a_value_that_is_no_number_is_an_error_and_never_bad_json():
    found = decided(passed())
    bad = Decided(
        found.post, found.decision, found.images, found.provenance, 0.0, {"x": float("nan")}
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        outgoing(bad, room=ROOM)


def test_a_text_with_half_a_surrogate_is_still_json():
    found = decided(passed("\ud83d"), post=Post(record(), "\udc80"))
    (decision,) = outgoing(found, room=ROOM)
    assert json.loads(decision.value)["images"][0]["image_id"] == "\ud83d"
    assert decision.key == b"\\udc80"


makers = [matched, passed, broken]


@given(
    images=st.lists(st.sampled_from(makers), min_size=1, max_size=5),
    value=st.none() | st.binary(max_size=20),
    key=st.none() | st.binary(max_size=8),
)
def test_every_record_that_is_made_is_of_its_published_schema(images, value, key):
    post = parse_post(record(value, key), max_bytes=100, max_images=20)
    judged = [] if post.deleted or post.fault else [make() for make in images]
    records = published(decided(*judged, post=post))
    schema("decision-1").validate(json.loads(records["decisions"].value))
    if "flagged" in records:
        schema("flagged-1").validate(json.loads(records["flagged"].value))


def test_the_schemas_refuse_what_lacks_a_field_of_the_design():
    body = body_of(decided(matched()))
    for name in DECISION_FIELDS:
        less = {key: value for key, value in body.items() if key != name}
        assert not schema("decision-1").is_valid(less)
    for name in IMAGE_FIELDS:
        image = {key: value for key, value in body["images"][0].items() if key != name}
        assert not schema("decision-1").is_valid({**body, "images": [image]})
    assert schema("decision-1").is_valid({**body, "added": "within the major version"})
    assert not schema("flagged-1").is_valid({**body, "schema": "flagged/1"})


sides = st.integers(1, 5000)
shares = st.floats(0, 1)


@given(sides, sides, shares, shares, shares, shares)
def test_a_region_is_a_box_of_whole_pixels_inside_the_image(width, height, x, y, w, h) -> None:
    box = (x, y, min(w, 1 - x), min(h, 1 - y))
    image = replace(passed(), layout=still(width, height), box=box)
    region = image.region
    assert all(isinstance(value, int) for value in region.values())
    for begin, size, side, at, share in (
        (region["x"], region["width"], width, box[0], box[2]),
        (region["y"], region["height"], height, box[1], box[3]),
    ):
        assert size >= 1
        assert 0 <= begin < begin + size <= side
        # It holds the part and goes less than a pixel beyond it.
        if share * side > 1e-6:
            assert begin <= at * side + 1e-6
            assert begin + size >= (at + share) * side - 1e-6
            assert at * side - begin < 1 + 1e-6
            assert begin + size - (at + share) * side < 1 + 1e-6


def test_a_region_whose_shares_are_rounded_touches_no_pixel_more() -> None:
    for cells in range(1, 20):
        for cell in range(cells):
            image = replace(
                passed(), layout=still(cells * 7, 1), box=(cell / cells, 0, 1 / cells, 1)
            )
            assert (image.region["x"], image.region["width"]) == (cell * 7, 7)


def test_the_region_that_decided_is_published_and_the_whole_where_it_was_that() -> None:
    part = replace(matched(), box=(0.25, 0.5, 0.5, 0.25))
    body = to_json(decided(part, passed(), broken()))
    assert not list(schema("decision-1").iter_errors(body))
    assert [image["region"] for image in body["images"]] == [
        {"x": 160, "y": 240, "width": 320, "height": 120},
        {"x": 0, "y": 0, "width": 2, "height": 1},
        None,
    ]


def test_the_view_that_decided_and_what_was_out_of_reach_are_published() -> None:
    plain = to_json(decided(passed()))["images"][0]
    assert not {"background", "frames", "partial"} & set(plain)
    views = (View(4, "white"), View(4, "black"), View(9))
    shown = Layout(64, 48, ((64, 64),) * 3, views, reach=12, beyond=True, partial=True)
    body = to_json(decided(replace(matched(), layout=shown)))
    image = body["images"][0]
    assert (image["frame"], image["background"]) == (4, "black")
    assert image["frames"] == {"judged": 2, "reached": 12, "beyond": True}
    assert image["partial"] is True
    assert not list(schema("decision-1").iter_errors(body))


def test_what_a_head_says_is_published_and_what_it_does_not_say_is_absent() -> None:
    named = TypeScore("glock", "pistol", "Glock 17", 0.9, probability=0.41)
    levels = {
        "types": (named,),
        "mechanisms": (LevelScore("automatic", 0.97), LevelScore("revolver", 0.03)),
        "families": (LevelScore("pistol", 0.99),),
    }
    image = replace(matched(), decision=replace(matched().decision, **levels))
    post = PostDecision("flag", "match", worst=0, **levels)
    found = replace(decided(image, matched("1")), decision=post)
    for role, name in (("decisions", "decision-1"), ("flagged", "flagged-1")):
        body = body_of(found, role)
        schema(name).validate(body)
        for part in (body, body["images"][0]):
            assert part["types"][0]["probability"] == 0.41
            assert part["mechanisms"][0] == {"mechanism": "automatic", "score": 0.97}
            assert part["families"] == [{"family": "pistol", "score": 0.99}]
        assert not {"mechanisms", "families"} & body["images"][1].keys()
        assert "probability" not in body["images"][1]["types"][0]
    body = body_of(decided(matched()))
    assert not {"mechanisms", "families"} & body.keys()


@pytest.mark.parametrize(
    "levels",
    [{"mechanisms": [{"mechanism": ""}]}, {"mechanisms": [{"score": 0.5}]},
     {"families": [{"family": "pistol", "score": 1.5}]}, {"families": [{"mechanism": "a"}]}],
)  # fmt: skip
def test_the_schemas_refuse_levels_that_are_none(levels) -> None:
    body = body_of(decided(matched()))
    assert schema("decision-1").is_valid(body)
    assert not schema("decision-1").is_valid({**body, **levels})
