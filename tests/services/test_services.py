"""The services that other tests rely on do what those tests take for granted."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.conftest import REPOSITORY
from tests.services import process
from tests.services.kafka import SASL_PASSWORD, SASL_USERNAME, KafkaService
from tests.services.process import (
    GuardedProcess,
    ServiceFailedError,
    ServiceMissingError,
    wait_until,
)
from tests.services.redis import RedisService


def _transaction(kafka: KafkaService, topic: str, values: list[bytes], *, commit: bool) -> None:
    producer = KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, transactional_id=f"{topic}-{commit}"
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        for value in values:
            producer.send(topic, value=value, key=b"key", headers=[("kind", b"test")])
        producer.flush(30)
        producer.commit_transaction() if commit else producer.abort_transaction()
    finally:
        producer.close()


def test_committed_records_are_read_and_aborted_ones_are_not(kafka, topics):
    kafka.create(topics.posts)
    _transaction(kafka, topics.posts, [b"aborted"], commit=False)
    _transaction(kafka, topics.posts, [b'{"kept": 1}', b""], commit=True)
    committed = kafka.read(topics.posts, expect=2)
    assert [record.value for record in committed] == ['{"kept": 1}', ""]
    assert {(record.partition, record.key) for record in committed} == {(0, "key")}
    assert committed[0].headers == {"kind": "test"}
    # One offset is the aborted record's, one the marker of the abort.
    assert [record.offset for record in committed] == [2, 3]
    everything = kafka.read(topics.posts, expect=3, committed=False)
    assert [record.value for record in everything] == ["aborted", '{"kept": 1}', ""]


def test_a_record_without_value_or_key_reads_as_none(kafka, topics):
    kafka.create(topics.posts)
    with_key = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    with_key.send(topics.posts, key=b"deleted", value=None)
    with_key.send(topics.posts, value=b"keyless")
    with_key.close()
    records = kafka.read(topics.posts, expect=2)
    assert [(record.key, record.value) for record in records] == [
        ("deleted", None),
        (None, "keyless"),
    ]
    assert records[0].headers == {}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_keeps_its_data_and_port_over_a_restart(kafka, topics, end):
    kafka.create(topics.posts)
    _transaction(kafka, topics.posts, [b"before"], commit=True)
    address, pid = kafka.bootstrap_servers, kafka.pid
    getattr(kafka, end)()
    assert not _alive(pid)
    kafka.start()
    assert kafka.bootstrap_servers == address
    _transaction(kafka, topics.posts, [b"after"], commit=True)
    values = [record.value for record in kafka.read(topics.posts, expect=2)]
    assert values == ["before", "after"]


def test_the_second_listener_wants_the_right_password(kafka, topics):
    kafka.create(topics.posts)
    how = {
        "bootstrap_servers": kafka.sasl_bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": SASL_USERNAME,
    }
    producer = KafkaProducer(**how, sasl_plain_password=SASL_PASSWORD)
    producer.send(topics.posts, value=b"let in").get(30)
    producer.close()
    # The client tries again until its bootstrap time-out, whatever the broker told it.
    with pytest.raises(KafkaError):
        KafkaProducer(**how, sasl_plain_password="wrong", bootstrap_timeout_ms=2000)


def test_a_frozen_service_answers_nothing_until_it_goes_on(redis_service):
    with redis_service.client() as client:
        redis_service.freeze()
        try:
            wait_until(lambda: _state(redis_service.pid) == "T", 30, "the freezing")
        finally:
            redis_service.thaw()
        assert client.ping()


def test_redis_wants_its_password_and_is_empty_after_a_restart(tmp_path):
    service = RedisService(tmp_path, password="right")
    service.start()
    try:
        with service.client() as client:
            client.set("name", "value")
            assert client.get("name") == b"value"
        service.kill()
        assert not _alive(service.pid)
        service.start()
        with service.client() as client:
            assert client.get("name") is None
    finally:
        service.kill()


def test_a_service_that_cannot_start_shows_the_end_of_its_log(tmp_path):
    script = "import sys, time; time.sleep(1); print('no room left', file=sys.stderr); sys.exit(3)"
    broken = GuardedProcess("broken", [sys.executable, "-c", script], tmp_path)
    broken.start()
    wait_until(lambda: not broken.running, 30, "its end")
    with pytest.raises(ServiceFailedError, match="no room left"):
        broken.check()


def test_a_missing_program_is_one_line_that_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceMissingError) as missing:
        RedisService(tmp_path)
    assert "apt-get install redis-server" in str(missing.value)
    assert "\n" not in str(missing.value)


def test_a_missing_service_fails_tests_and_skips_none(tmp_path):
    (tmp_path / "java").symlink_to("/bin/false")
    environ = {**os.environ, "PATH": str(tmp_path), "TEST_CACHE_FOLDER": str(tmp_path / "c")}
    name = "tests/services/test_services.py::test_a_record_without_value_or_key_reads_as_none"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "apt-get install maven" in done.stdout
    assert "1 error" in done.stdout
    assert "skipped" not in done.stdout


def test_ports_are_free_and_given_once():
    ports = [process.free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    lowest = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
    assert max(ports) < int(lowest)


HOLDS_A_REDIS = """
    import sys
    import time
    from pathlib import Path

    from tests.services.redis import RedisService

    def test_that_hangs():
        service = RedisService(Path({folder!r}))
        service.start()
        Path({folder!r}, "started").write_text(str(service.pid))
        time.sleep(600)
"""


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)
def test_nothing_is_left_running_after_a_test_run_is_ended(tmp_path, number):
    test = tmp_path / "test_hanging.py"
    test.write_text(textwrap.dedent(HOLDS_A_REDIS.format(folder=str(tmp_path))))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (tmp_path / "output").open("wb") as output:
        run = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=output, stderr=output)
    try:
        started = tmp_path / "started"
        wait_until(lambda: started.exists() and started.read_text(), 60, "the inner test")
        service = int(started.read_text())
        assert _alive(service)
        run.send_signal(number)
        run.wait(60)
        wait_until(lambda: not _alive(service), 30, "the end of its service")
    finally:
        run.kill()
        run.wait()


def test_a_broker_ends_with_a_test_run_that_is_killed(kafka, tmp_path):
    """The same for the broker: its guard is told of by the kernel, not by the one that ends."""
    script = f"""
        import sys
        from pathlib import Path
        from tests.services.kafka import KafkaService
        service = KafkaService(Path({str(tmp_path)!r}))
        service.start()
        print(service.pid, flush=True)
        sys.stdin.read()
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert run.stdout is not None
        service = int(run.stdout.readline())
        assert _alive(service)
        run.kill()
        run.wait(30)
        wait_until(lambda: not _alive(service), 30, "the end of the broker")
    finally:
        run.kill()
        run.wait()


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet waited for does not."""
    try:
        return _state(pid) not in "ZX"
    except FileNotFoundError:
        return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
