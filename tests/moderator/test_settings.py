import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import SecretStr

from moderator.concerns.concern import Concern
from moderator.errors import BadSettings
from moderator.settings import (
    CONCERNS,
    DERIVED,
    STARTER,
    Kafka,
    Settings,
    fields,
    load_settings,
    settings_table,
)

SECRET = "hunter2"
README = Path(__file__).resolve().parents[2] / "README.md"


def load(environ=None, config=None, **overrides) -> Settings:
    return load_settings(overrides, environ or {}, config)


def refused(environ=None, config=None, overrides=None) -> str:
    with pytest.raises(BadSettings) as caught:
        load_settings(overrides or {}, environ or {}, config)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert caught.value.__cause__ is None
    return text


def choices(field) -> list[str]:
    """Return the texts that a setting may be, none where it may be others too."""
    kinds = [kind for kind in get_args(field.annotation) if get_origin(kind) is Literal]
    if get_origin(field.annotation) is Literal:
        kinds = [field.annotation]
    return [text for kind in kinds for text in get_args(kind) if text]


@pytest.fixture
def toml(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "moderator.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_defaults_need_nothing():
    assert load() == Settings()
    assert load().judging.release == STARTER
    assert STARTER.parts[-2:] == ("models", "starter")


def test_the_strongest_source_wins(toml):
    config = toml("max_batch = 1\nmax_images_per_post = 2\ngroup = 'file'\n")
    environ = {"MODERATOR_MAX_BATCH": "3", "MODERATOR_MAX_IMAGES_PER_POST": "4", "OTHER": "x"}
    found = load(environ, config, max_batch="5")
    assert found.pipeline.max_batch == 5
    assert found.limits.max_images_per_post == 4
    assert found.kafka.group == "file"


def test_the_file_may_be_named_by_the_environment(toml):
    path = toml("group = 'file'\n")
    assert load({"MODERATOR_CONFIG": str(path)}).kafka.group == "file"
    assert load({"MODERATOR_CONFIG": ""}).kafka.group == "moderator"
    assert load({"MODERATOR_CONFIG": "nowhere"}, path).kafka.group == "file"


def test_a_file_may_have_tables_named_after_the_concerns(toml):
    text = "log_level = 'DEBUG'\n[kafka]\ngroup = 'g'\n[fetch]\nallowed_hosts = ['a', 'b']\n"
    found = load(config=toml(text))
    assert (found.serving.log_level, found.kafka.group) == ("DEBUG", "g")
    assert found.fetch.allowed_hosts == ("a", "b")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("allowed_hosts", "a.org, *.b.org,", ("a.org", "*.b.org")),
        ("allowed_hosts", "", ()),
        ("allowed_stores", "s3://a.b/", ("s3://a.b/",)),
        ("kafka_api_version", "2.3", (2, 3)),
        ("kafka_api_version", "2,3", (2, 3)),
        ("kafka_api_version", "", None),
        ("group_instance_id", "", None),
        ("sasl_mechanism", "", None),
        ("ssl_cafile", "", None),
        ("redis_url", "", None),
        ("redis_url", "redis://a", SecretStr("redis://a")),
        ("bootstrap_servers", "a, b_c:1,[::1]:65535", "a, b_c:1,[::1]:65535"),
        ("allowed_stores", "memory://a,gs://b/c/", ("memory://a", "gs://b/c/")),
        ("allowed_root", "", None),
        ("allowed_root", "/srv", Path("/srv")),
        ("prototypes_topic", "", ""),
        ("max_wait", "0", 0.0),
        ("max_inflight_bytes", "2000000", 2_000_000),
        ("on_near_miss", "flag", "flag"),
        ("start_timeout", "0", 0.0),
    ],
)
def test_texts_become_what_the_setting_is(name, text, value):
    homes = {each: concern for concern, each, _ in fields()}
    for found in (load(**{name: text}), load({f"MODERATOR_{name.upper()}": text})):
        assert getattr(getattr(found, homes[name]), name) == value


def test_files_give_values_of_their_own_types(toml):
    text = "kafka_api_version = [2, 3]\nmax_wait = 1\nallowed_hosts = 'a,b'\nredis_url = ''\n"
    found = load(config=toml(text))
    assert found.kafka.kafka_api_version == (2, 3)
    assert found.pipeline.max_wait == 1.0
    assert found.fetch.allowed_hosts == ("a", "b")
    assert found.cache.redis_url is None


def test_unknown_names_are_refused_with_the_nearest_known_one(toml):
    assert refused(overrides={"max_bach": "1"}) == (
        "unknown setting max_bach; did you mean max_batch?"
    )
    assert refused({"MODERATOR_MAX_BACH": "1"}) == (
        "unknown setting MODERATOR_MAX_BACH; did you mean MODERATOR_MAX_BATCH?"
    )
    assert refused(config=toml("redis_ulr = ''")) == (
        "unknown setting redis_ulr; did you mean redis_url?"
    )
    assert refused(overrides={"max-batch": "1"}).endswith("did you mean max_batch?")
    assert "see `moderator worker --help`" in refused(overrides={"qqqq": "1"})
    assert "unknown setting" in refused(overrides={"": "1"})


def test_every_variable_with_the_prefix_is_a_setting():
    assert "unknown setting MODERATOR_TEST_KAFKA" in refused({"MODERATOR_TEST_KAFKA": "x"})


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("max_batch", "0", "greater than or equal to 1"),
        ("max_batch", "many", "valid integer"),
        ("max_wait", "nan", "finite"),
        ("max_wait", "inf", "finite"),
        ("max_wait", "-1", "greater than or equal to 0"),
        ("on_malformed", "maybe", "'flag' or 'pass'"),
        ("delivery", "twice", "'exactly-once' or 'at-least-once'"),
        ("posts_topic", "a b", "match pattern"),
        ("posts_topic", "", "match pattern"),
        ("group", "x" * 250, "match pattern"),
        ("kafka_api_version", "2", "such as 2.3"),
        ("kafka_api_version", "2.3.4", "such as 2.3"),
        ("kafka_api_version", "a.b", "valid integer"),
        ("http_port", "70000", "65535"),
        ("redis_url", "localhost:6379", "begin with redis://"),
        ("transaction_timeout", "", "valid number"),
        ("ssl_cafile", "/nowhere/ca.pem", "there is no file /nowhere/ca.pem"),
        ("ssl_cafile", "/", "there is no file /"),
        ("bootstrap_servers", "", "an empty text"),
        ("bootstrap_servers", "kafka:9092,", "an empty text"),
        ("bootstrap_servers", "a:9092,b:many", "b:many"),
        ("bootstrap_servers", "a:65536", "write host:port"),
        ("bootstrap_servers", "a:0", "write host:port"),
        ("bootstrap_servers", "a:", "write host:port"),
        ("bootstrap_servers", ":9092", "write host:port"),
        ("bootstrap_servers", "a b:9092", "write host:port"),
        ("bootstrap_servers", "a/b:9092", "write host:port"),
        ("bootstrap_servers", "me@a:9092", "write host:port"),
        ("bootstrap_servers", "[::1:9092", "write host:port"),
        ("bootstrap_servers", "SSL://a:9092", "write host:port"),
        ("allowed_hosts", "a.org,*", "write example.org or *.example.org"),
        ("allowed_hosts", "*.", "write example.org or *.example.org"),
        ("allowed_hosts", "*.*", "write example.org or *.example.org"),
        ("allowed_hosts", "https://a.org", "write example.org or *.example.org"),
        ("allowed_stores", "s3://a/,https://a.org/", "is in no object store"),
        ("allowed_stores", "HTTP://a.org/", "is in no object store"),
        ("allowed_stores", "file:///srv/", "allowed_root"),
        ("allowed_stores", "local:///srv/", "is in no object store"),
        ("allowed_stores", "simplecache::file:///srv/", "no place in a store"),
        ("allowed_stores", "s3", "no place in a store"),
        ("allowed_stores", "s3://", "no place in a store"),
    ],
)
def test_wrong_values_are_refused_by_their_source(toml, name, text, named):
    variable = f"MODERATOR_{name.upper()}"
    path = toml(f"{name} = '{text}'")
    for source, reason in (
        (f"--set {name}", refused(overrides={name: text})),
        (variable, refused({variable: text})),
        (f"{name} in {path}", refused(config=path)),
    ):
        assert reason.startswith(f"{source}: ")
        assert named in reason


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"transaction_timeout": "31"}, ("transaction_timeout (31 s)", "session_timeout (30 s)")),
        ({"session_timeout": "10"}, ("transaction_timeout (20 s)", "session_timeout (10 s)")),
        ({"publish_timeout": "20"}, ("publish_timeout (20 s)", "transaction_timeout (20 s)")),
        ({"min_insync_replicas": "4"}, ("min_insync_replicas (4)", "replication (3)")),
        ({"replication": "1"}, ("min_insync_replicas (2)", "replication (1)")),
        ({"security_protocol": "SASL_SSL"}, ("SASL_SSL needs sasl_mechanism",)),
        ({"sasl_username": "me"}, ("security_protocol", "PLAINTEXT")),
    ],
)
def test_values_that_contradict_each_other_are_refused(given, named):
    reason = refused(overrides=given)
    assert all(each in reason for each in named)


def test_time_outs_may_be_equal_where_the_design_allows_it():
    given = {"session_timeout": "10", "transaction_timeout": "10", "publish_timeout": "9.5"}
    assert load(**given).kafka.transaction_timeout == 10


def test_files_that_cannot_be_read_are_refused(toml, tmp_path):
    assert "No such file" in refused(config=tmp_path / "absent.toml")
    assert "directory" in refused(config=tmp_path)
    assert "is not TOML" in refused(config=toml("max_batch = "))
    assert "is not TOML" in refused(config=toml(b"\xff\xfe"))
    assert "max_batch in" in refused(config=toml("[pipeline]\nmax_batch = [1]\n"))
    assert "unknown setting pipelin" in refused(config=toml("[pipelin]\nmax_batch = 1\n"))


SECRETS = [name for _, name, field in fields() if "SecretStr" in str(field.annotation)]


def test_passwords_and_urls_that_may_hold_them_are_secrets():
    assert set(SECRETS) == {
        "sasl_password",
        "sasl_oauthbearer_client_secret",
        "ssl_key_password",
        "redis_url",
        "redis_password",
        "redis_key_password",
        "redis_secret",
        "canary_secret",
    }
    assert {f"{name}_file" for name in SECRETS} <= {name for _, name, _ in fields()}


@pytest.mark.parametrize(
    "given",
    [
        {"sasl_password": SECRET},
        {"redis_url": f"http://:{SECRET}@cache"},
        {"redis_url": f"redis://:{SECRET}@cache", "sasl_password": SECRET, "max_batch": "x"},
        {"sasl_password": SECRET, "security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"},
        {"sasl_pasword": SECRET},
    ],
)
def test_secrets_are_never_shown_in_errors(given, toml):
    variables = {f"MODERATOR_{name.upper()}": text for name, text in given.items()}
    path = toml("".join(f"{name} = '{text}'\n" for name, text in given.items()))
    for reason in (refused(overrides=given), refused(variables), refused(config=path)):
        assert SECRET not in reason


def test_secrets_are_never_shown_in_settings():
    found = load(redis_url=f"redis://:{SECRET}@cache")
    assert SECRET not in repr(found) + str(found) + found.model_dump_json()
    assert SECRET in found.cache.redis_url.get_secret_value()


def test_settings_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        load().kafka.group = "other"
    with pytest.raises(ValueError, match="Extra inputs"):
        Kafka(grupo="x")


def test_every_setting_has_a_unique_name_and_a_description():
    names = [name for _, name, _ in fields()]
    assert len(names) == len(set(names))
    assert all(field.description and field.description.endswith(".") for *_, field in fields())
    assert all(isinstance(getattr(Settings(), name), Concern) for name in CONCERNS)
    assert Settings.model_fields.keys() == CONCERNS.keys()


@pytest.mark.parametrize("name", [name for _, name, field in fields() if choices(field)])
def test_the_description_of_a_choice_names_them_all(name):
    field = next(field for _, each, field in fields() if each == name)
    missing = [each for each in choices(field) if not re.search(rf"\b{each}\b", field.description)]
    assert missing == []


def test_the_table_has_a_row_for_every_setting():
    lines = settings_table().splitlines()
    names = [name for _, name, _ in fields()]
    assert [line.split("`")[1] for line in lines[2:]] == names
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}


def test_the_table_is_the_same_on_every_machine(monkeypatch):
    derived = {name for _, name, field in fields() if field.default_factory is not None}
    assert derived | {"release"} == DERIVED.keys()
    text = settings_table()
    assert str(STARTER.parent.parent) not in text
    for row in (
        "| `decode_processes` | one per core, 8 at most | Processes that decode images. |",
        "| `release` | the starter release | Release directory to serve. |",
        "| `redis_timeout` | `0.25` | Seconds an answer of Redis may take. |",
        "| `sasl_password` | none | Password of that user. |",
    ):
        assert row in text.splitlines()


def test_reading_settings_imports_neither_torch_nor_the_clients():
    code = "import sys, moderator.settings; print({'torch', 'kafka', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MODERATOR_SERVICE_HOST", "10.0.0.1"),
        ("MODERATOR_SERVICE_PORT", "9108"),
        ("MODERATOR_SERVICE_PORT_HTTP_METRICS", "9108"),
        ("MODERATOR_PORT", "tcp://10.0.0.1:9108"),
        ("MODERATOR_PORT_9108_TCP", "tcp://10.0.0.1:9108"),
        ("MODERATOR_PORT_9108_TCP_PROTO", "tcp"),
        ("MODERATOR_PORT_9108_TCP_PORT", "9108"),
        ("MODERATOR_PORT_9108_TCP_ADDR", "10.0.0.1"),
        ("MODERATOR_REVIEW_SERVICE_HOST", "10.0.0.2"),
        ("MODERATOR_REVIEW_PORT", "udp://10.0.0.2:80"),
        # A Service named moderator-http.
        ("MODERATOR_HTTP_PORT", "tcp://10.0.0.3:80"),
    ],
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_not_ours(name, text) -> None:
    assert load({name: text}) == load({})


def test_a_mistake_that_looks_like_one_of_them_is_still_told() -> None:
    assert "unknown setting MODERATOR_PORT" in refused({"MODERATOR_PORT": "9200"})
    assert load({"MODERATOR_HTTP_PORT": "9200"}).serving.http_port == 9200
