"""Posting files: records are what the worker reads, and no file's fault stops the others."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from moderator.compose import NamedImage, build_record, media_type
from moderator.errors import BadSettings, Unavailable
from moderator.post import post_images, run_post
from moderator.records import Record, parse_post
from moderator.settings import Settings, load_settings

ids = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40
)


NOWHERE = load_settings({"bootstrap_servers": "127.0.0.1:9", "start_timeout": "1"}, environ={})


def read(record: object) -> Record:
    return Record("posts", 0, 0, 0, record.key, record.value, record.headers)


@given(
    post_id=ids,
    author_id=st.none() | ids,
    images=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4),
)
def test_a_json_record_is_read_as_it_was_meant(post_id, author_id, images) -> None:
    named = [NamedImage(f"i{n}", data, "image/png") for n, data in enumerate(images)]
    record = build_record(named, post_id=post_id, form="json", author_id=author_id)
    post = parse_post(read(record), max_bytes=10_000, max_images=4)
    assert (post.post_id, post.author_id, post.fault) == (post_id, author_id, None)
    assert [image.data for image in post.images] == images
    assert [image.image_id for image in post.images] == [image.image_id for image in named]


@given(post_id=ids, author_id=st.none() | ids, data=st.binary(min_size=1, max_size=50))
def test_a_binary_record_is_read_as_it_was_meant(post_id, author_id, data) -> None:
    record = build_record(
        [NamedImage("x", data, "image/webp")],
        post_id=post_id,
        form="binary",
        author_id=author_id,
        created_at="2026-01-02T03:04:05Z",
    )
    post = parse_post(read(record), max_bytes=10_000, max_images=1)
    assert (post.post_id, post.author_id) == (post_id, author_id)
    assert post.created_at == "2026-01-02T03:04:05Z"
    assert [image.data for image in post.images] == [data]
    assert dict(record.headers)["content-type"] == b"image/webp"


@pytest.mark.parametrize(("form", "count"), [("binary", 0), ("json", 0), ("binary", 2)])
def test_a_record_needs_images_that_fit_its_form(form: str, count: int) -> None:
    images = [NamedImage("0", b"x", "image/png")] * count
    with pytest.raises(ValueError, match=f"{count} images"):
        build_record(images, post_id="p", form=form)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.PNG", "image/png"),
        ("a.webp", "image/webp"),
        ("a.AVIF", "image/avif"),
        ("a.txt", "image/unknown"),
        ("a", "image/unknown"),
    ],
)
def test_the_media_type_follows_the_name(name: str, expected: str) -> None:
    assert media_type(Path(name)) == expected


@pytest.fixture
def broker() -> Iterator[object]:
    from moderator.demo.broker import Broker

    with Broker() as broker:
        broker.create(["posts"])
        yield broker


@pytest.fixture
def settings(broker) -> Settings:
    return load_settings(
        {
            "bootstrap_servers": broker.bootstrap_servers,
            "kafka_api_version": "2.3",
            "max_post_bytes": "20000",
            "start_timeout": "2",
        },
        environ={},
    )


def written(settings: Settings, count: int) -> list[object]:
    """Read the posts topic from its beginning."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, api_version=(2, 3))
    partitions = [TopicPartition("posts", n) for n in consumer.partitions_for_topic("posts")]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    records: list[object] = []
    for _ in range(50):
        records += [r for some in consumer.poll(timeout_ms=200).values() for r in some]
        if len(records) >= count:
            break
    consumer.close()
    return records


def test_files_are_posted_and_what_cannot_be_is_named(tmp_path, settings) -> None:
    good, large, absent = tmp_path / "a.png", tmp_path / "large.jpg", tmp_path / "absent.jpg"
    good.write_bytes(b"picture")
    large.write_bytes(bytes(20_001))
    last = tmp_path / "z.jpg"
    last.write_bytes(b"other")
    out, err = Console(file=io.StringIO(), width=40), Console(file=io.StringIO(), width=40)
    code = run_post(settings, [good, large, absent, last], out=out, err=err, author_id="me")
    assert code == 1
    errors = err.file.getvalue().splitlines()
    assert len(errors) == 2
    assert str(absent) in errors[0]
    assert str(large) in errors[1]
    assert "20001 bytes" in errors[1]
    assert "20000" in errors[1]
    rows = [line.split("\t") for line in out.file.getvalue().splitlines()]
    records = {f"posts-{r.partition}-{r.offset}": r for r in written(settings, 2)}
    assert {row[0] for row in rows} == records.keys()
    assert {row[0]: row[1].encode() for row in rows} == {n: r.key for n, r in records.items()}
    assert {row[0]: Path(row[2]).read_bytes() for row in rows} == {
        n: r.value for n, r in records.items()
    }
    headers = {n: dict(r.headers) for n, r in records.items()}
    assert {h["content-type"] for h in headers.values()} == {b"image/png", b"image/jpeg"}
    assert {h["author-id"] for h in headers.values()} == {b"me"}


def test_several_images_go_together_as_one_post(tmp_path, settings) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for path in paths:
        path.write_bytes(path.name.encode())
    (posted,) = post_images(settings, paths, together=True, post_id="album")
    (record,) = written(settings, 1)
    assert posted.error is None
    assert record.key == b"album"
    images = json.loads(record.value)["images"]
    assert [base64.b64decode(image["data"]) for image in images] == [b"0.png", b"1.png", b"2.png"]


def test_posts_keep_to_the_rate(tmp_path, settings) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    records = list(post_images(settings, [path] * 5, rate=10))
    assert len(records) == 5
    times = sorted(record.timestamp for record in written(settings, 5))
    assert times[-1] - times[0] >= 380


@pytest.mark.parametrize(
    ("count", "options", "named"),
    [
        (0, {}, "no images"),
        (2, {"post_id": "p"}, "--post-id"),
        (2, {"together": True, "form": "binary"}, "--as json"),
        (21, {"together": True}, "max_images_per_post"),
        (1, {"rate": 0.0}, "--rate"),
    ],
)
def test_options_that_contradict_each_other_are_refused(count, options, named) -> None:
    with pytest.raises(BadSettings, match=named) as caught:
        list(post_images(Settings(), [Path("a.png")] * count, **options))
    assert "\n" not in str(caught.value)


def test_without_a_broker_it_ends_with_one_line(tmp_path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    with pytest.raises(Unavailable) as caught:
        list(post_images(NOWHERE, [path]))
    assert "127.0.0.1:9" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("together", [False, True])
def test_files_that_are_not_there_are_named_without_a_broker(tmp_path, together) -> None:
    absent, link = tmp_path / "absent.jpg", tmp_path / "link.jpg"
    link.symlink_to(absent)
    out, err = Console(file=io.StringIO(), width=40), Console(file=io.StringIO(), width=40)
    paths = [absent, tmp_path, link]
    assert run_post(NOWHERE, paths, out=out, err=err, together=together) == 1
    lines = err.file.getvalue().splitlines()
    assert lines[0] == f"{absent}: No such file or directory; not posted"
    assert lines[1:] == (
        []
        if together
        else [
            f"{tmp_path}: Is a directory; not posted",
            f"{link}: No such file or directory; not posted",
        ]
    )
    assert out.file.getvalue() == ""


def test_files_that_are_not_there_are_named_before_a_broker_is_waited_for(tmp_path) -> None:
    there = tmp_path / "a.png"
    there.write_bytes(b"x")
    posted = post_images(NOWHERE, [there, tmp_path / "absent.jpg"])
    assert next(posted).paths == (tmp_path / "absent.jpg",)
    with pytest.raises(Unavailable):
        next(posted)


def test_a_file_that_went_away_since_is_named(tmp_path, settings) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for path in (first, second):
        path.write_bytes(b"x")
    posted = post_images(settings, [first, second, tmp_path / "absent.png"])
    assert "absent" in (next(posted).error or "")
    second.unlink()
    assert [(each.paths, each.error is None) for each in posted] == [
        ((second,), False),
        ((first,), True),
    ]
