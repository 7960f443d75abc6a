"""Write the decisions that differ: lines of a file, records of a topic. Judges nothing."""

import json
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kafka.errors import KafkaError

from moderator.errors import BadSettings, Unavailable
from moderator.replaying.tally import Compared
from moderator.settings import Settings

IN_FLIGHT = 64
"""Most records sent and not yet acknowledged."""


class Sink:
    """Takes what is to be written of a replay to a file, a topic, both or nowhere.

    Args:
        settings: Where the brokers are.
        path: File, written anew; None: none.
        topic: Topic that exists; None: none.

    Raises:
        BadSettings: The file cannot be written, or the brokers refuse.
        Unavailable: The brokers cannot be reached.
    """

    def __init__(self, settings: Settings, path: Path | None, topic: str | None) -> None:
        self._topic = topic
        self._timeout = settings.kafka.publish_timeout
        self._sent: deque[Any] = deque()
        self._producer: Any = None
        self._file: Any = None
        with ExitStack() as stack:
            if path is not None:
                try:
                    self._file = stack.enter_context(path.open("w", encoding="utf-8"))
                except OSError as error:
                    raise BadSettings(f"cannot write {path}: {error.strerror}") from None
            if topic is not None:
                from moderator.streaming import clients

                self._producer = clients.producer(settings.kafka, transactional=False)
                stack.callback(clients.discard, self._producer)
            self._stack = stack.pop_all()

    def write(self, post: Compared) -> None:
        """Write a post.

        Raises:
            Unavailable: The brokers do not take it.
        """
        if self._file is None and self._producer is None:
            return
        text = json.dumps(post.to_json(), ensure_ascii=False, separators=(",", ":"))
        data = text.encode(errors="backslashreplace")
        if self._file is not None:
            self._file.write(data.decode() + "\n")
        if self._producer is not None:
            key = post.post_id.encode(errors="backslashreplace")
            self._sent.append(self._producer.send(self._topic, key=key, value=data))
            if len(self._sent) >= IN_FLIGHT:
                self._acknowledged()

    def flush(self) -> None:
        """Wait until all that was written has arrived.

        Raises:
            Unavailable: It has not.
        """
        if self._file is not None:
            self._file.flush()
        while self._sent:
            self._acknowledged()

    def _acknowledged(self) -> None:
        try:
            self._sent.popleft().get(timeout=self._timeout)
        except KafkaError as error:
            raise Unavailable(
                f"topic {self._topic} does not take the replay's records: "
                f"{type(error).__name__}: {error}; leave --topic out, or mend it"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
