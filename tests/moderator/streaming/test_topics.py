"""Creating the topics, on the real Kafka."""

import io

import pytest
from kafka import KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)
from rich.console import Console

from moderator.errors import BadSettings, Unavailable
from moderator.findings import largest_decision
from moderator.settings import Settings, load_settings
from moderator.streaming.topics import create_topics, topic_specs
from tests.services.kafka import SASL_PASSWORD, SASL_USERNAME

DEVELOPMENT = {"replication": "1", "min_insync_replicas": "1", "partitions": "3"}


def _settings(**overrides: str) -> Settings:
    return load_settings(overrides, environ={})


def _created(settings: Settings) -> list[str]:
    out = io.StringIO()
    create_topics(settings, Console(file=out, width=20))
    return out.getvalue().splitlines()


class TestTopicSpecs:
    def test_limits_follow_from_what_a_post_may_be(self):
        settings = _settings(max_post_bytes="1000000")
        configs = {spec.name: spec.configs for spec in topic_specs(settings)}
        posts = int(configs["posts"]["max.message.bytes"])
        assert posts == 1_000_000 + 65_536
        assert int(configs["posts.dead-letter"]["max.message.bytes"]) == posts + 65_536

    @pytest.mark.parametrize("images", ["1", "20", "1000"])
    def test_decisions_fit_whatever_a_post_holds(self, images):
        settings = _settings(max_images_per_post=images, max_types="50", max_evidence="50")
        configs = {spec.name: spec.configs for spec in topic_specs(settings)}
        for name in ("decisions", "flagged"):
            assert int(configs[name]["max.message.bytes"]) >= largest_decision(settings, 4096)

    @pytest.mark.parametrize("name", ["prototypes", "control"])
    def test_what_members_read_alone_is_one_compacted_partition_without_an_end(self, name):
        spec = next(spec for spec in topic_specs(_settings()) if spec.name == name)
        assert spec.partitions == 1
        assert spec.configs["cleanup.policy"] == "compact"
        assert "retention.ms" not in spec.configs

    def test_without_what_may_be_done_without_there_are_four(self):
        without = _settings(prototypes_topic="", control_topic="", shadow_topic="", retry_delays="")
        assert len(topic_specs(without)) == 4

    def test_each_delay_has_a_topic_in_which_a_whole_post_fits_with_headers_more(self):
        settings = _settings(retry_delays="5s,2m", retry_topic_prefix="again-")
        configs = {spec.name: spec.configs for spec in topic_specs(settings)}
        for name in ("again-5s", "again-2m"):
            most = int(configs[name]["max.message.bytes"])
            assert most == int(configs["posts"]["max.message.bytes"]) + 65_536

    @pytest.mark.parametrize("name", ["prototypes_topic", "control_topic", "shadow_topic"])
    def test_those_that_may_be_done_without_are_then_not_created(self, name):
        assert len(topic_specs(_settings(**{name: ""}))) == len(topic_specs(_settings())) - 1


class TestCreateTopics:
    def test_they_are_created_as_the_settings_say_and_left_alone_afterwards(self, kafka, topics):
        settings = _settings(**topics.overrides(kafka), **DEVELOPMENT, retention="3600")
        lines = _created(settings)
        names = [spec.name for spec in topic_specs(settings)]
        assert [line.split()[:2] for line in lines] == [["created", f"{name}:"] for name in names]
        with kafka.admin() as admin:
            described = {topic["name"]: topic for topic in admin.describe_topics(names)}
            resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            configs = admin.describe_configs(resources, config_filter="all")["topic"]
        for spec in topic_specs(settings):
            assert len(described[spec.name]["partitions"]) == spec.partitions
            for key, value in spec.configs.items():
                assert configs[spec.name][key]["value"] == value
        assert len(described[topics.posts]["partitions"]) == 3
        assert configs[topics.posts]["retention.ms"]["value"] == "3600000"
        assert _created(settings) == [f"exists   {name}" for name in names]

    def test_a_post_of_the_largest_size_fits_and_its_dead_letter_too(self, kafka, topics):
        settings = _settings(**topics.overrides(kafka), **DEVELOPMENT)
        _created(settings)
        most = settings.limits.max_post_bytes
        producer = KafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, max_request_size=64 * 2**20
        )
        headers = [("note", b"x" * 30_000)]
        producer.send(topics.posts, key=b"k" * 1000, value=bytes(most), headers=headers).get(30)
        more = [*headers, ("provenance", b"x" * 60_000)]
        producer.send(topics.dead_letter, value=bytes(most), headers=more).get(30)
        producer.close()

    def test_differences_of_those_that_are_there_are_a_line_each(self, kafka, topics):
        settings = _settings(**topics.overrides(kafka), **DEVELOPMENT)
        kafka.create(topics.posts, partitions=5, config={"max.message.bytes": "1000"})
        lines = _created(settings)
        most = settings.limits.max_post_bytes + 65_536
        assert f"exists   {topics.posts}" in lines
        assert f"differs  {topics.posts}: 5 partitions, where the settings say 3" in lines
        assert (
            f"differs  {topics.posts}: max.message.bytes=1000, where the settings say {most}"
            in lines
        )
        assert sum(line.startswith("created") for line in lines) == len(topic_specs(settings)) - 1

    def test_more_replicas_than_brokers_is_one_line_and_creates_nothing(self, kafka, topics):
        settings = _settings(**topics.overrides(kafka))
        with pytest.raises(BadSettings, match="3 replicas on 1 broker; set replication=1") as error:
            _created(settings)
        assert "\n" not in str(error.value)
        with kafka.admin() as admin:
            assert topics.posts not in admin.list_topics()

    def test_brokers_that_are_not_there_are_one_line(self):
        settings = _settings(bootstrap_servers="127.0.0.1:1", start_timeout="1")
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1") as error:
            _created(settings)
        assert "\n" not in str(error.value)

    def test_a_user_that_may_not_create_them_is_told_so(self, kafka, topics):
        settings = _settings(
            **{**topics.overrides(kafka), "bootstrap_servers": kafka.sasl_bootstrap_servers},
            **DEVELOPMENT,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_username=SASL_USERNAME,
            sasl_password=SASL_PASSWORD,
        )
        # Rules for someone else on these topics take them away from everybody else.
        rules = [
            ACL("User:other", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern)
            for pattern in (
                ResourcePattern(ResourceType.CLUSTER, "kafka-cluster"),
                *(ResourcePattern(ResourceType.TOPIC, s.name) for s in topic_specs(settings)),
            )
        ]
        with kafka.admin() as admin:
            admin.create_acls(rules)
        try:
            with pytest.raises(BadSettings, match="may not create topic") as error:
                _created(settings)
        finally:
            with kafka.admin() as admin:
                admin.delete_acls(rules)
        assert "\n" not in str(error.value)
        assert len(_created(settings)) == len(topic_specs(settings)), (
            "the rules are gone, for the tests that follow"
        )
