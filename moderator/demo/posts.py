"""The posts of the demo, each with what it truly shows. Knows nothing of Kafka or of decisions."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, cycle

from moderator.compose import Form, NamedImage, PostRecord, build_record
from moderator.demo.drawings import Kind, draw, jpeg, names
from moderator.demo.photographs import Expected, Photograph

DRAWN_TYPES = "drawn_"
"""Begins the name of every type that only drawings have, so that none is taken for a real one."""

DRAWN = (
    "firearm", "harmless", "firearm", "photograph", "lookalike", "firearm",
    "repeat", "harmless", "firearm", "undecodable", "photograph", "lookalike",
)  # fmt: skip
"""What is posted in turn, over and over."""

WITH_FOLDER = (
    "photograph", "firearm", "photograph", "photograph", "lookalike", "firearm",
    "repeat", "photograph", "harmless", "undecodable", "photograph", "photograph",
)  # fmt: skip
"""What is posted in turn where a folder of photographs is given."""

REPEAT_OF = 6
"""A repeat is the very same bytes as the post so many places before it."""

MOST_AS_JSON = 1_000_000
"""Bytes over which an image is posted in binary form: base64 makes it a third larger."""


@dataclass(frozen=True, slots=True)
class DemoPost:
    """A post and the truth about it.

    ``expected`` is the right decision, ``reason`` the right reason and ``type`` the right type,
    each None where there is none or nobody knows; ``repeats`` is the id of the post whose bytes
    these are.
    """

    post_id: str
    label: str
    data: bytes
    media_type: str
    form: Form
    expected: Expected | None
    type: str | None = None
    reason: str | None = None
    repeats: str | None = None


def planned(photographs: Iterator[Photograph], pattern: Sequence[str]) -> Iterator[DemoPost]:
    """Yield posts without end, in the turns of a pattern.

    Args:
        photographs: Taken one by one; drawings of harmless things stand in when none is left.
        pattern: Kinds of posts, such as ``DRAWN``; what lies REPEAT_OF places before a
            ``repeat`` is a picture.
    """
    drawings = {kind: _drawings(kind) for kind in ("firearm", "lookalike", "harmless")}
    broken = _broken()
    recent: deque[DemoPost] = deque(maxlen=REPEAT_OF)
    for place, kind in enumerate(cycle(pattern)):
        if kind == "repeat":
            post = _repeat(recent[0])
        elif kind == "undecodable":
            post = next(broken)
        elif kind == "photograph":
            found = next(photographs, None)
            post = _of(found) if found is not None else next(drawings["harmless"])
        else:
            post = next(drawings[kind])
        as_json = place % 3 == 2 and len(post.data) <= MOST_AS_JSON
        post = replace(post, post_id=f"post-{place + 1:04d}", form="json" if as_json else "binary")
        recent.append(post)
        yield post


def record_of(post: DemoPost) -> PostRecord:
    """Return a post's record, written now."""
    return build_record(
        [NamedImage("0", post.data, post.media_type)],
        post_id=post.post_id,
        form=post.form,
        author_id=f"author-{len(post.data) % 97:02d}",
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _drawings(kind: Kind) -> Iterator[DemoPost]:
    """Yield drawings of a kind, each name in turn, no two alike."""
    for seed in count():
        for name in names(kind):
            firearm = kind == "firearm"
            yield DemoPost(
                post_id="",
                label=f"{'look-alike: ' if kind == 'lookalike' else ''}{readable(name)}",
                data=jpeg(draw(name, seed, "posted")),
                media_type="image/jpeg",
                form="binary",
                expected="flag" if firearm else "pass",
                type=f"{DRAWN_TYPES}{name}" if firearm else None,
            )


def readable(name: str) -> str:
    """Return a drawing's name as people read it, saying that it is a drawing."""
    return f"{name.replace('_', ' ')} (drawing)"


def _of(photograph: Photograph) -> DemoPost:
    return DemoPost(
        post_id="",
        label=photograph.label,
        data=photograph.data,
        media_type=photograph.media_type,
        form="binary",
        expected=photograph.expected,
        type=photograph.type,
    )


def _repeat(post: DemoPost) -> DemoPost:
    return replace(post, label=f"again {post.post_id}: {post.label}", repeats=post.post_id)


def _broken() -> Iterator[DemoPost]:
    """Yield files that are no images, though they say so; no two the same."""
    for number in count():
        whole = jpeg(draw("house", 1000 + number, "posted"))
        for label, media_type, data in (
            ("text named .jpg", "image/jpeg", f"Not an image, number {number}.\n".encode()),
            ("a JPEG without its head", "image/jpeg", whole[:3] + whole[-400:]),
            ("noise named .png", "image/png", b"\x89PNG\r\n\x1a\n" + whole[-400:]),
        ):
            yield DemoPost(
                post_id="",
                label=f"no image: {label}",
                data=data,
                media_type=media_type,
                form="binary",
                expected="flag",
                reason="undecodable",
            )
