"""Every step of an examiner, one after the other, without Kafka."""

from moderator.assembly import Parts
from moderator.decisions import Decided, to_json
from moderator.records import Post, PostImage, Record
from tests.moderator.schemas import schema


def decided(parts: Parts, *pictures: bytes, timestamp: int = 1_700_000_000_000) -> list[Decided]:
    """Take posts of one picture each through every step, together; decisions fit their schema."""
    posts = [
        Post(
            Record("posts", 0, number, timestamp, b"p", None),
            f"p{number}",
            images=(PostImage("0", data=data),),
        )
        for number, data in enumerate(pictures)
    ]
    batch = parts.examiner.open(posts)
    parts.examiner.prepare(batch)
    parts.examiner.embed(batch)
    found = parts.examiner.judge(batch)
    for each in found:
        assert not list(schema("decision-1").iter_errors(to_json(each)))
    return found
