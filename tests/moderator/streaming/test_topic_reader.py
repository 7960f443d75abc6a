"""What a reader of one topic makes of what the client raises; no broker."""

import pytest
from kafka.errors import KafkaTimeoutError, LogTruncationError, OffsetOutOfRangeError

from moderator.following import MadeAnew
from moderator.settings import Kafka
from moderator.streaming import clients
from moderator.streaming.topic_reader import TopicReader

GONE = [OffsetOutOfRangeError({}), LogTruncationError({})]


class Client:
    """Has one partition, and raises what it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.begun = 0
        self._cluster = self

    def assign(self, partitions: object) -> None:
        pass

    def topic_id(self, topic: str) -> str:
        return "same"

    def seek_to_beginning(self, *partitions: object) -> None:
        self.begun += 1

    def poll(self, **arguments: object) -> dict[object, list[object]]:
        if self.error is not None:
            raise self.error
        return {}

    def position(self, *arguments: object, **more: object) -> int:
        self.poll()
        return 3


@pytest.fixture
def client(monkeypatch) -> Client:
    client = Client()
    monkeypatch.setattr(clients, "consumer", lambda *_, **__: client)
    monkeypatch.setattr("moderator.streaming.topic_reader.tolerate_unreadable", lambda *_: None)
    return client


@pytest.mark.parametrize("error", GONE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("ask", [lambda r: r.poll(0), lambda r: r.position()], ids=["poll", "at"])
def test_where_what_was_read_is_gone_reading_begins_again(client, error, ask) -> None:
    reader = TopicReader(Kafka(), "prototypes")
    client.error = error
    with pytest.raises(MadeAnew, match="prototypes"):
        ask(reader)
    assert client.begun == 2


def test_a_position_that_is_not_told_in_time_is_0(client) -> None:
    reader = TopicReader(Kafka(), "prototypes")
    assert reader.position() == 3
    client.error = KafkaTimeoutError()
    assert reader.position() == 0
