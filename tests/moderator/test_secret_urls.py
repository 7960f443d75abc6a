"""Passwords and signatures in the URLs of posts: in nothing that a worker says, through real Kafka.

The dead-letter topic alone holds a record as it came; not even its headers tell.
"""

import json

import pytest

from tests.moderator.member import Member, Network

pytestmark = pytest.mark.timeout(300)

SECRET = "open-sesame"

URLS = (
    f"https://someone:{SECRET}@images.example/image.jpg",
    f"https://{SECRET}@images.example/image.jpg",
    f"https://elsewhere.example/image.jpg?X-Amz-Signature={SECRET}&X-Amz-Expires=60",
    f"https://images.example:8443/image.jpg?sig={SECRET}",
    f"https://[{SECRET}/image.jpg",
    f"https://images.example/\x00{SECRET}",
    f"file:///{SECRET}/image.jpg",
    f"s3://{SECRET}:{SECRET}@bucket/image.jpg",
    f"{SECRET}://{SECRET}",
    f"https://images.example/{SECRET * 1_000}",
)


def test_secrets_in_urls_are_repeated_nowhere(kafka, topics, tiny_release, tmp_path) -> None:
    topics.create(kafka, partitions=1)
    network = Network(kafka, topics)
    given = topics.overrides(kafka) | {
        "release": str(tiny_release.path),
        "allowed_hosts": "images.example",
        "log_level": "DEBUG",
    }
    worker = Member(given, tmp_path)
    try:
        sent = {}
        for number, url in enumerate(URLS):
            value = json.dumps({"images": [{"image_id": "0", "url": url}]}).encode()
            sent[network.send(str(number).encode(), value, ())] = url
        decisions = network.decided(len(URLS))
        assert set(decisions) == set(sent)
        assert {each["reason"] for each in decisions.values()} <= {"unreachable", "malformed"}
        assert {each["decision"] for each in decisions.values()} == {"flag"}
        assert SECRET not in json.dumps(decisions)
        assert SECRET not in worker.get("/metrics")[1]
        for topic in (topics.decisions, topics.flagged):
            rows = network.rows(topic)
            assert len(rows) == len(URLS)
            assert not any(SECRET.encode() in row.value for row in rows)
        dead = network.rows(topics.dead_letter)
        assert len(dead) == len(URLS)
        assert SECRET.encode() not in b"".join(value for row in dead for _, value in row.headers)
        assert worker.stop() == 0
        log = worker.log.read_text()
        assert "DEBUG" in log
        assert [line[:200] for line in log.splitlines() if SECRET in line] == []
    finally:
        worker.close()
        network.close()
