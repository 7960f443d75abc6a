"""The log: one line per event in both forms, whatever an event holds."""

import io
import json
import logging
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import suppress

import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest

from moderator import logs
from moderator.settings import load_settings


@pytest.fixture
def stream(request) -> Iterator[io.StringIO]:
    """The log as it is written; loggers are afterwards as they were."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {
        name: logging.getLogger(name).level for name in (*logs.QUIET, *logs.SILENT, *logs.SECRET)
    }
    stream = io.StringIO()
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def begin(stream: io.StringIO, **given: str) -> logging.Logger:
    logs.set_up(load_settings(given, environ={}).serving, stream)
    return logging.getLogger("moderator.test")


def failure(logger: logging.Logger) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("it failed", extra={"partition": 3})


def test_text_is_one_line_an_event_with_the_time_in_utc(stream) -> None:
    logger = begin(stream)
    logger.info("post %s", "a\nb\x1b[31m", extra={"age": 1.5})
    failure(logger)
    first, second = stream.getvalue().splitlines()
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO moderator.test: post a\\nb", first
    )
    assert "\x1b" not in first
    assert first.endswith("age=1.5")
    assert "ERROR" in second
    assert "ValueError: two\\nlines" in second


def test_json_is_one_object_a_line_with_what_was_given(stream) -> None:
    logger = begin(stream, log_format="json")
    logger.info("a\nb", extra={"age": 1.5, "level": "not to be overwritten"})
    failure(logger)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "a\nb"
    assert (first["level"], first["logger"], first["age"]) == ("INFO", "moderator.test", 1.5)
    assert first["time"].endswith("Z")
    assert "ValueError: two\nlines" in second["exception"]
    assert second["partition"] == 3


def test_a_record_is_stamped_with_its_own_time(stream) -> None:
    begin(stream, log_format="json")
    record = logging.makeLogRecord({"created": 0.25, "msecs": 250.0, "msg": "x"})
    assert json.loads(logs.JsonLines().format(record))["time"] == "1970-01-01T00:00:00.250Z"


@pytest.mark.parametrize(
    ("level", "ours", "theirs"),
    [("DEBUG", "DEBUG", "DEBUG"), ("INFO", "INFO", "WARNING"), ("ERROR", "ERROR", "ERROR")],
)
def test_libraries_are_quieter_except_when_debugging(stream, level, ours, theirs) -> None:
    logger = begin(stream, log_level=level)
    assert logging.getLevelName(logger.getEffectiveLevel()) == ours
    assert logging.getLevelName(logging.getLogger("kafka.conn").getEffectiveLevel()) == theirs


@pytest.mark.parametrize(("level", "lines"), [("INFO", 0), ("DEBUG", 1)])
def test_attempts_to_connect_are_told_only_when_debugging(stream, level, lines) -> None:
    begin(stream, log_level=level)
    logging.getLogger("kafka.net.connection").error("refused")
    assert len(stream.getvalue().splitlines()) == lines


def test_what_a_library_says_again_and_again_is_written_seldom_and_counted(
    stream,
) -> None:
    ours = begin(stream)
    now = [100.0]
    [handler] = logging.getLogger().handlers
    handler.filters[:] = [logs.Seldom(lambda: now[0])]
    theirs = logging.getLogger("kafka.cluster")
    for node in range(40):
        theirs.warning("no answer of %d", node)
    theirs.error("no answer of %d", 0)
    theirs.warning("another")
    now[0] += logs.SELDOM
    theirs.warning("no answer of %d", 40)
    theirs.warning("no answer of %d", 41)
    for count in (1, 1, 2):
        ours.warning("lost offsets of partition %d", count)
    ours.info("always")
    ours.info("always")
    said = [line.partition("Z ")[2] for line in stream.getvalue().splitlines()]
    assert said == [
        "WARNING kafka.cluster: no answer of 0",
        "ERROR kafka.cluster: no answer of 0",
        "WARNING kafka.cluster: another",
        "WARNING kafka.cluster: no answer of 40 repeated=39",
        "WARNING moderator.test: lost offsets of partition 1",
        "WARNING moderator.test: lost offsets of partition 2",
        "INFO moderator.test: always",
        "INFO moderator.test: always",
    ]


@pytest.mark.parametrize(("level", "lines"), [("INFO", 1), ("DEBUG", 3)])
def test_a_debugging_member_leaves_nothing_out(stream, level, lines) -> None:
    begin(stream, log_level=level)
    for _ in range(3):
        logging.getLogger("kafka.cluster").warning("no node")
    assert len(stream.getvalue().splitlines()) == lines


def test_kinds_that_are_remembered_do_not_grow_without_end() -> None:
    seldom = logs.Seldom()
    for n in range(2 * logs.KINDS + 1):
        record = logging.LogRecord("kafka", logging.WARNING, "", 0, f"filled in {n}", None, None)
        assert seldom.filter(record)
    assert len(seldom._written) <= logs.KINDS


def test_commands_tell_people_their_own_warnings_and_nothing_else(stream) -> None:
    logs.set_up_command(load_settings({}, environ={}).serving, stream)
    logging.getLogger("models.release").warning("the index is built anew")
    logging.getLogger("models.release").info("all is well")
    logging.getLogger("kafka.consumer").error("refused")
    assert stream.getvalue() == "moderator: the index is built anew\n"


def test_commands_tell_everything_when_debugging(stream) -> None:
    logs.set_up_command(load_settings({"log_level": "DEBUG"}, environ={}).serving, stream)
    logging.getLogger("kafka.coordinator").debug("joining")
    assert "kafka.coordinator: joining" in stream.getvalue()


def test_setting_up_again_replaces_what_was_there(stream) -> None:
    begin(io.StringIO())
    begin(stream).warning("once")
    assert len(stream.getvalue().splitlines()) == 1
    assert len(logging.getLogger().handlers) == 1


def test_warnings_of_libraries_are_events(stream) -> None:
    begin(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("something is old", stacklevel=1)
    assert "something is old" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_brokers_password_is_in_no_log(stream, level) -> None:
    begin(stream, log_level=level)
    given = {"sasl_plain_username": "we", "sasl_plain_password": "open sesame"}
    with suppress(KafkaError), socket.create_server(("127.0.0.1", 0)) as nobody:
        # An admin client first writes down its settings, then finds that nobody answers.
        KafkaAdminClient(
            bootstrap_servers=f"127.0.0.1:{nobody.getsockname()[1]}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            bootstrap_timeout_ms=10,
            **given,
        )
    parser = KafkaProtocol(client_id="we")
    parser.send_request(SaslAuthenticateRequest(b"\0we\0open sesame", version=1))
    parser.send_bytes()
    assert "sesame" not in stream.getvalue()


def test_quiet_levels_hold_for_what_may_hold_secrets(stream) -> None:
    begin(stream, log_level="ERROR")
    for name in logs.SECRET:
        logging.getLogger(name).warning("something")
    assert stream.getvalue() == ""
