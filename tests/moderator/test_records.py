import base64
import json
import math
from datetime import UTC, datetime

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.compose import NamedImage, build_record
from moderator.records import (
    MAX_FAULT,
    MAX_ID,
    MAX_URL,
    UNREADABLE,
    PostImage,
    Record,
    decision_id,
    digest,
    parse_post,
    utc,
)
from tests.moderator.schemas import schema

IMAGE = b"\xff\xd8\xff and so on"
ENCODED = base64.b64encode(IMAGE).decode()


def record(value=b"", key=b"p1", headers=(), offset=7, timestamp=1_700_000_000_000) -> Record:
    return Record("posts", 3, offset, timestamp, key, value, tuple(headers))


def parse(value=b"", key=b"p1", headers=(), max_bytes=10_000, max_images=3):
    return parse_post(record(value, key, headers), max_bytes=max_bytes, max_images=max_images)


def posted(**body) -> bytes:
    return json.dumps({"images": [{"data": ENCODED}], **body}).encode()


def test_an_image_with_its_headers_is_a_post_of_one_image():
    headers = [
        ("Content-Type", b" IMAGE/jpeg"),
        ("post-id", b"other"),
        ("author-id", b"a1"),
        ("created-at", b"2024-05-01T00:00:00Z"),
    ]
    post = parse(IMAGE, headers=headers)
    assert (post.post_id, post.author_id, post.created_at) == ("p1", "a1", "2024-05-01T00:00:00Z")
    assert post.images == (PostImage("0", data=IMAGE),)
    assert post.fault is None
    assert not post.deleted


def test_json_holds_images_inline_and_by_reference_in_their_order():
    body = posted(
        author_id=17,
        created_at="then",
        images=[
            {"image_id": "a", "data": ENCODED, "url": None},
            {"image_id": 5, "url": "https://images.example.org/1.jpg"},
            {"data": ""},
        ],
    )
    post = parse(body)
    assert (post.author_id, post.created_at, post.fault) == ("17", "then", None)
    assert post.images == (
        PostImage("a", data=IMAGE),
        PostImage("5", url="https://images.example.org/1.jpg"),
        PostImage("2", data=b""),
    )
    assert schema("post-1").is_valid(json.loads(body))


@pytest.mark.parametrize(
    ("key", "headers", "body", "expected"),
    [
        (b"key", [("post-id", b"header")], {"post_id": "json"}, "key"),
        (None, [("post-id", b"header")], {"post_id": "json"}, "header"),
        (b"", [], {"post_id": "json"}, "json"),
        (None, [], {"post_id": 12}, "12"),
        (None, [], {"post_id": None}, "posts-3-7"),
        (None, [], {"post_id": True}, "posts-3-7"),
        (None, [], {"post_id": 1.5}, "posts-3-7"),
        (None, [], {"post_id": ["a"]}, "posts-3-7"),
        (None, [], {"post_id": ""}, "posts-3-7"),
        (None, [], {}, "posts-3-7"),
        (b"\xff\x00a", [], {}, "\\xff\x00a"),
        (b"x" * MAX_ID, [], {}, "x" * MAX_ID),
        (b"x" * (MAX_ID + 1), [], {}, digest(b"x" * (MAX_ID + 1))),
        (b"x" * 1_000_000, [("post-id", b"h")], {}, digest(b"x" * 1_000_000)),
        (None, [("post-id", b"h" * 600)], {}, digest(b"h" * 600)),
        (None, [], {"post_id": "j" * 600}, digest(b"j" * 600)),
        ("\N{PISTOL}".encode() * MAX_ID, [], {}, "\N{PISTOL}" * MAX_ID),
    ],
)
def test_the_post_id_is_the_key_else_what_the_post_says_else_the_decision_id(
    key, headers, body, expected
):
    assert parse(posted(**body), key, headers).post_id == expected


def test_the_decision_id_names_the_record():
    assert decision_id(record(offset=2**62)) == f"posts-3-{2**62}"
    assert parse(IMAGE).decision_id == "posts-3-7"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (b"", "neither an image nor JSON"),
        (b"hello", "neither an image nor JSON"),
        (b"\xff\xfe\xfd", "neither an image nor JSON"),
        (b'{"images": [', "neither an image nor JSON"),
        (b"[" * 9_000, "neither an image nor JSON"),
        (b'{"a":' * 1_900, "neither an image nor JSON"),
        (b'{"post_id": ' + b"9" * 5_000 + b', "images": [{"data": ""}]}', "neither an image"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"images": {"data": ""}}', "images is not a list"),
        (b'{"images": "none"}', "images is not a list"),
        (posted(images=[{"data": ENCODED}] * 4), "4 images, over the limit of 3"),
        (b'{"images": [{"data": ""}], "images": [{"data": "AAAA"}]}', "a name twice"),
        (b'{"images": [{"data": "", "data": "AAAA"}]}', "a name twice"),
        (b"x" * 10_001, "10001 bytes, over the limit of 10000"),
    ],
)
def test_what_cannot_be_read_is_a_post_with_a_fault(value, fault):
    post = parse(value)
    assert fault in post.fault
    assert post.images == ()
    assert not post.deleted
    assert post.post_id == "p1"


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ("text", "not a JSON object"),
        (None, "not a JSON object"),
        ({}, "neither data nor url"),
        ({"data": None, "url": None}, "neither data nor url"),
        ({"data": 5}, "neither data nor url"),
        ({"data": "AAA"}, "data is not base64"),
        ({"data": "AA==AAAA"}, "data is not base64"),
        ({"data": "AA_-"}, "data is not base64"),
        ({"data": "é"}, "data is not base64"),
        ({"data": "\ud800"}, "data is not base64"),
        ({"data": ENCODED, "url": "https://a/b"}, "both data and url"),
        ({"url": ""}, "url is empty"),
        ({"url": "https://a/\n"}, "unprintable"),
        ({"url": "https://a/\x00"}, "unprintable"),
        ({"url": "https://a/\ud800"}, "unprintable"),
        ({"url": "h" * (MAX_URL + 1)}, f"over {MAX_URL} long"),
    ],
)
def test_a_faulty_image_leaves_its_neighbours_alone(image, fault):
    post = parse(posted(images=[{"data": ENCODED}, image]))
    assert post.fault is None
    assert post.images[0] == PostImage("0", data=IMAGE)
    assert fault in post.images[1].fault
    assert (post.images[1].data, post.images[1].url) == (None, None)


@pytest.mark.parametrize(
    "image",
    [{}, {"data": 5}, {"data": "A", "url": "u"}, {"url": ""}, {"url": "h" * 4097}, "text"],
)
def test_the_schema_refuses_the_same_images(image):
    assert not schema("post-1").is_valid({"images": [image]})


@pytest.mark.parametrize(
    ("image_id", "expected"),
    [
        ("a\x00b", "a\x00b"),
        ("\ud83d", "\\ud83d"),
        ("\ud83d" * MAX_ID, "0"),
        ("x" * (MAX_ID + 1), "0"),
        (-5, "-5"),
        (int("9" * 600), "0"),
        (False, "0"),
        ({}, "0"),
    ],
)
def test_image_ids_are_texts_that_every_encoder_takes(image_id, expected):
    post = parse(posted(images=[{"image_id": image_id, "data": ENCODED}]))
    assert post.images[0].image_id == expected


def test_no_value_is_a_deletion_whatever_its_headers():
    post = parse(None, headers=[("content-type", b"image/png"), ("author-id", b"a")])
    assert (post.deleted, post.fault, post.images, post.author_id) == (True, None, (), "a")


def test_the_stand_in_of_an_unreadable_record_has_its_fault():
    post = parse(None, key=None, headers=[(UNREADABLE, b"wrong \xff" + b"x" * 1000)])
    assert (post.deleted, post.images, post.post_id) == (False, (), "posts-3-7")
    assert post.fault.startswith("wrong \N{REPLACEMENT CHARACTER}xx")
    assert len(post.fault) == MAX_FAULT


def test_no_header_keeps_a_post_with_content_from_being_judged():
    headers = [("content-type", b"image/png"), (UNREADABLE, b"so they say")]
    assert parse(IMAGE, headers=headers).images == (PostImage("0", data=IMAGE),)


@pytest.mark.parametrize("body", [b"{}", b'{"images": []}', b'{"text": "hi", "images": null}'])
def test_a_post_of_text_alone_has_no_images_and_no_fault(body):
    post = parse(body)
    assert (post.images, post.fault, post.deleted) == ((), None, False)
    assert schema("post-1").is_valid(json.loads(body))


PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.mark.parametrize("value", [IMAGE, PNG, b"GIF89a...", b"RIFF....WEBPVP8 "])
@pytest.mark.parametrize("headers", [[], [("content-type", b"application/octet-stream")]])
def test_the_first_bytes_tell_an_image_whose_header_does_not(value, headers):
    assert parse(value, headers=headers).images == (PostImage("0", data=value),)


@pytest.mark.parametrize(
    "data",
    [
        f"{ENCODED}\n",
        f"{ENCODED[:8]}\r\n{ENCODED[8:]}",
        f"data:image/jpeg;base64,{ENCODED}",
        f" DATA:image/jpeg;name=a.jpg; base64,{ENCODED[:4]}\n{ENCODED[4:]}",
        f"data:;base64,{ENCODED}",
    ],
)
def test_base64_is_taken_with_line_breaks_and_as_a_data_uri(data):
    body = posted(images=[{"data": data}])
    assert parse(body).images == (PostImage("0", data=IMAGE),)
    assert schema("post-1").is_valid(json.loads(body))


def test_a_url_that_is_a_data_uri_is_its_image_whatever_its_length():
    image = IMAGE * 1_000
    body = posted(images=[{"url": f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"}])
    assert parse(body, max_bytes=10**6).images == (PostImage("0", data=image),)
    assert schema("post-1").is_valid(json.loads(body))


def test_a_data_uri_that_is_not_base64_is_a_fault():
    post = parse(posted(images=[{"data": "data:image/svg+xml,%3Csvg%3E"}]))
    assert "data: URI" in post.images[0].fault


@pytest.mark.parametrize("name", ["content-type", "post-id", "author-id", "created-at"])
def test_a_header_twice_with_different_values_is_a_fault_and_with_one_value_is_not(name):
    twice = parse(IMAGE, headers=[(name, b"image/png"), (name.title(), b"image/gif")])
    assert (twice.images, twice.fault) == ((), f"header {name} twice, with different values")
    assert parse(IMAGE, headers=[(name, b"image/png")] * 2).fault is None


def test_a_post_in_utf_16_or_with_a_byte_order_mark_is_read():
    for codec in ("utf-8-sig", "utf-16"):
        assert parse(posted().decode().encode(codec)).images[0].data == IMAGE


leaves = st.sampled_from(
    [None, True, 0, -7, 1.5, math.nan, "", "a", "\ud800", "\x00", "x" * 600, ENCODED, "https://a/b"]
)
json_values = leaves | st.lists(leaves, max_size=3) | st.dictionaries(st.just("a"), leaves)
image_like = st.fixed_dictionaries(
    {}, optional={"image_id": json_values, "data": json_values, "url": json_values}
)
post_like = st.fixed_dictionaries(
    {},
    optional={
        "post_id": json_values,
        "author_id": json_values,
        "created_at": json_values,
        "images": st.lists(image_like | json_values, max_size=5) | json_values,
    },
)
headers_like = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "post-id", "author-id", "created-at", UNREADABLE, "x"]),
        st.binary(max_size=20) | st.just(b"image/png"),
    ),
    max_size=4,
)


@given(
    value=st.none()
    | st.binary(max_size=60)
    | post_like.map(lambda body: json.dumps(body).encode()),
    key=st.none() | st.binary(max_size=20),
    headers=headers_like,
)
def test_any_record_is_deleted_faulty_or_has_images_and_its_texts_can_be_encoded(
    value, key, headers
):
    post = parse(value, key, headers)
    assert [post.deleted, post.fault is not None, bool(post.images)].count(True) <= 1
    for image in post.images:
        assert [x is not None for x in (image.data, image.url, image.fault)].count(True) == 1
        assert image.image_id.encode()
    for text in (post.post_id, post.author_id, post.created_at):
        assert text is None or 0 < len(text.encode().decode()) <= MAX_ID


@given(
    data=st.lists(st.binary(max_size=50), min_size=1, max_size=3),
    post_id=st.text("a\x00é\N{PISTOL}\ud800", min_size=1, max_size=20),
)
def test_what_is_composed_is_read_back(data, post_id):
    post_id = post_id.encode(errors="replace").decode()
    images = [NamedImage(f"i{place}", each, "image/png") for place, each in enumerate(data)]
    forms = ["json", "binary"] if len(data) == 1 else ["json"]
    for form in forms:
        made = build_record(images, post_id=post_id, form=form, author_id="a", created_at="c")
        post = parse(made.value, made.key, made.headers)
        assert [image.data for image in post.images] == data
        assert (post.post_id, post.author_id, post.created_at) == (post_id, "a", "c")
        if form == "json":
            jsonschema.validate(json.loads(made.value), schema("post-1").schema)


def test_sizes_and_sources_of_records():
    assert (record(b"four").size, record(None).size) == (4, 0)
    assert record().source == ("posts", 3)


def test_a_digest_is_that_of_the_bytes():
    assert digest(b"") == (
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_700_000_000_123.4, "2023-11-14T22:13:20.123Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999Z"),
        (-(2**63), "0001-01-01T00:00:00.000Z"),
        (math.inf, "9999-12-31T23:59:59.999Z"),
        (-math.inf, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_and_never_out_of_range(milliseconds, text):
    assert utc(milliseconds) == text


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 31)))
def test_times_come_back(moment):
    moment = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000
    assert datetime.fromisoformat(utc(milliseconds)) == moment
