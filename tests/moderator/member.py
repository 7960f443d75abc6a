"""A worker as a process of its own, for tests against real services."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from moderator.compose import PostRecord
from moderator.settings import load_settings
from moderator.streaming import clients
from tests.services.process import free_port

PATIENCE = 90.0
"""Seconds until a test gives up waiting; nothing takes nearly so long on an idle machine."""


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until a condition holds and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.05)
    return found


class Member:
    """``moderator worker`` with these settings; its log is kept in a folder.

    ``module`` is run in place of ``moderator``, with ``environment`` besides its own. With
    ``faults``, a folder, it is the one of ``tests.moderator.faulty``.
    """

    def __init__(
        self,
        overrides: Mapping[str, str],
        folder: Path,
        name: str = "0",
        *,
        module: str = "moderator",
        environment: Mapping[str, str] | None = None,
        faults: Path | None = None,
    ) -> None:
        self.port = free_port()
        settings = {
            "instance": name,
            "http_port": str(self.port),
            "session_timeout": "6",
            "transaction_timeout": "5",
            "publish_timeout": "4",
            "decode_processes": "1",
            "embed_threads": "1",
            **overrides,
        }
        arguments = [text for item in settings.items() for text in ("--set", "=".join(item))]
        program = ["tests.moderator.faulty", str(faults)] if faults else [module]
        self.log = folder / f"member-{name}-{self.port}.log"
        self._file = self.log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *program, "worker", *arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            start_new_session=True,
        )

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a probe, status 0 where nothing answers."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, series: str) -> float:
        """Return the value of a series as it is written in a scrape, 0 where it is not there."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{series} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    @property
    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.get("/readyz")[0] == 200

    def await_ready(self) -> "Member":
        until(lambda: self.ready, "readiness")
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._file.close()


class Network:
    """The social network's side: posts go out, decisions are read with Kafka's own consumer."""

    def __init__(self, kafka: Any, topics: Any) -> None:
        self.kafka = kafka
        self.topics = topics
        settings = load_settings(topics.overrides(kafka), environ={})
        self._kafka = settings.kafka
        self._producer = clients.producer(settings.kafka, transactional=False)
        self._consumer = clients.consumer(settings.kafka, group=False)
        found = self._consumer.partitions_for_topic(topics.decisions) or set()
        self._consumer.assign([TopicPartition(topics.decisions, n) for n in found])
        self._consumer.seek_to_beginning()
        self._seen = 0
        self._sent: list[Any] = []
        self.sources: Counter[tuple[str, int, int]] = Counter()

    def post(self, record: PostRecord, partition: int | None = None) -> str:
        """Post a record and return the id that its decision will have."""
        return self.send(record.key, record.value, record.headers, partition)

    def send(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> str:
        future = self._producer.send(
            self.topics.posts, key=key, value=value, headers=list(headers), partition=partition
        )
        at = future.get(30)
        self.sources[at.topic, at.partition, at.offset] += 1
        return f"{at.topic}-{at.partition}-{at.offset}"

    def put(self, record: PostRecord) -> None:
        """Post a record without waiting for its acknowledgement."""
        self._sent.append(
            self._producer.send(
                self.topics.posts,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
            )
        )
        if len(self._sent) >= 64:
            self.flush()

    def flush(self) -> None:
        """Wait until everything put is acknowledged."""
        for future in self._sent:
            at = future.get(30)
            self.sources[at.topic, at.partition, at.offset] += 1
        self._sent.clear()

    def close(self) -> None:
        self._producer.close(timeout=5)
        self._consumer.close(autocommit=False)

    def decisions(self, topic: str | None = None, *, expect: int = 0) -> list[dict[str, Any]]:
        """Return all committed decisions, as Kafka's own consumer reads them."""
        name = topic or self.topics.decisions
        rows = self.kafka.read(name, expect=expect, committed=True, quiet=2)
        return [json.loads(row.value) for row in rows]

    def rows(self, topic: str) -> list[Any]:
        """Return the committed records of a topic whose values may be any bytes."""
        reader = clients.consumer(self._kafka, group=False)
        partitions = [TopicPartition(topic, n) for n in reader.partitions_for_topic(topic)]
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        ends = reader.end_offsets(partitions)
        found: list[Any] = []
        deadline = time.monotonic() + PATIENCE
        while any(reader.position(each) < ends[each] for each in partitions):
            assert time.monotonic() < deadline
            found += [row for rows in reader.poll(timeout_ms=200).values() for row in rows]
        reader.close(autocommit=False)
        return found

    def committed(self) -> int:
        """Return how many decisions our own consumer sees, which is quicker to ask."""
        for rows in self._consumer.poll(timeout_ms=100).values():
            self._seen += len(rows)
        return self._seen

    def decided(self, count: int) -> dict[str, dict[str, Any]]:
        """Wait for so many decisions and return them by id; each must be there once."""
        until(lambda: self.committed() >= count, f"{count} decisions")
        found = self.decisions(expect=count)
        by_id = {each["decision_id"]: each for each in found}
        assert len(by_id) == len(found) == count
        return by_id

    def ledger(self, count: int) -> Counter[tuple[str, int, int]]:
        """Wait for so many decisions; return how often each record of the topic was decided."""
        until(lambda: self.committed() >= count, f"{count} decisions")
        sources = (each["source"] for each in self.decisions(expect=count))
        return Counter((s["topic"], s["partition"], s["offset"]) for s in sources)
