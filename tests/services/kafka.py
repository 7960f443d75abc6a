"""The real Apache Kafka for tests: one broker in KRaft combined mode, in a folder of its own.

Knows nothing of the product's topics and records; what is read back is read by Kafka's own
console consumer, so that a fault of our client cannot hide itself.
"""

import math
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tests.services.kafka_jars import JarsMissingError, kafka_jars
from tests.services.process import (
    GuardedProcess,
    Service,
    ServiceMissingError,
    free_port,
    program,
)

SASL_USERNAME = "member"
SASL_PASSWORD = "right-password"

MAX_MESSAGE_BYTES = 64 * 2**20

SERVER = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
# Everything is allowed until a test adds an access rule for a topic or group; then only that is.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
log.dirs={folder}/data
auto.create.topics.enable=false
delete.topic.enable=true
message.max.bytes={max_bytes}
replica.fetch.max.bytes={max_bytes}
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=2
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A broker that was killed is let in again only after its former session has ended.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.backoff.ms=500
log.index.size.max.bytes=1048576
"""

CONTROLLER = """
process.roles=controller
node.id=100
controller.quorum.voters=100@127.0.0.1:{controller}
listeners=CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
log.dirs={place}/data
broker.session.timeout.ms=2000
num.network.threads=1
num.io.threads=2
background.threads=2
"""
"""A controller in a process of its own."""

BROKER = """
process.roles=broker
controller.quorum.voters=100@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}
"""
"""Of a broker whose controller is apart, behind ``SERVER``: of a name that comes twice the last one
counts."""

FENCED = 2.5
"""Seconds after a broker's death until its controller has noticed: its session's, and a look."""

LOGGING = """
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1}: %m%n
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
"""

FIELD, LINE, HEADER, NULL = "\x1f", "\x1e", "\x1d", "\x1a"
"""What the console consumer puts between things; none of them occurs in JSON."""

HEAP = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto")
SMALL_HEAP = ("-Xms64m", "-Xmx128m", "-XX:+UseSerialGC", "-Xshare:auto", "-XX:TieredStopAtLevel=1")
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m")


@dataclass(frozen=True, slots=True)
class Consumed:
    """One record as Kafka's console consumer prints it; bytes that are no UTF-8 are replaced."""

    partition: int
    offset: int
    headers: Mapping[str, str]
    key: str | None
    value: str | None


class KafkaService(Service):
    """A broker with two listeners: open, and with a password (SASL PLAIN).

    Data and ports stay the same over ``stop``/``kill`` and ``start``.

    A broker that is to be killed needs its controller apart, as it is where there are many: they
    then know that it was away. One that is both comes back as the leader it was, begins to load its
    groups and transactions, is told that it was away, and loads them once more; Kafka 4.3.1 may
    answer for a group from the first load, half done, and that group stands still for good (seen
    as a member joining "generation 36" of a group whose log had 110).

    Args:
        folder: An empty folder for data, configuration and log.
        java_options: Of the broker, beside those of its heap.
        controller: A folder for a controller in a process of its own, which goes on while the
            broker is stopped, killed or frozen; None: the broker is its own controller.

    Raises:
        ServiceMissingError: Java, or Kafka's jars and Maven, are not there.
    """

    start_timeout = 60.0
    """It takes 5 on an idle machine."""

    def __init__(
        self, folder: Path, java_options: tuple[str, ...] = (), *, controller: Path | None = None
    ) -> None:
        self._java = program("java", "openjdk-17-jre-headless")
        try:
            self._jars = kafka_jars()
        except JarsMissingError as error:
            raise ServiceMissingError(str(error)) from None
        self._folder = folder
        self._plain, self._sasl, self._controller = free_port(), free_port(), free_port()
        self._config = folder / "server.properties"
        self._config.write_text(
            SERVER.format(
                plain=self._plain,
                sasl=self._sasl,
                controller=self._controller,
                user=SASL_USERNAME,
                password=SASL_PASSWORD,
                folder=folder,
                max_bytes=MAX_MESSAGE_BYTES,
            )
        )
        (folder / "log4j2.properties").write_text(LOGGING)
        self._format_options: tuple[str, ...] = ()
        command = self._command("kafka.Kafka", str(self._config), options=(*HEAP, *java_options))
        super().__init__("kafka", command, folder)
        self._cluster = f"A{urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')[1:]}"
        self._killed = -math.inf
        self._controller_config: Path | None = None
        self._apart: GuardedProcess | None = None
        if controller is not None:
            self._apart = self._controller_in(controller)

    @property
    def bootstrap_servers(self) -> str:
        """The listener that is open to everybody."""
        return f"127.0.0.1:{self._plain}"

    @property
    def sasl_bootstrap_servers(self) -> str:
        """The listener that wants ``SASL_USERNAME`` and ``SASL_PASSWORD``."""
        return f"127.0.0.1:{self._sasl}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if not (self._folder / "data").exists():
            self._format(self._config, *self._format_options)
            if self._controller_config is not None:
                self._format(self._controller_config)
        if self._apart is not None:
            if not self._apart.running:
                self._apart.start()
            time.sleep(max(0.0, self._killed + FENCED - time.monotonic()))
        super().start()

    def kill(self) -> None:
        """Kill the broker, as a crash would; a controller of its own lives on."""
        super().kill()
        self._killed = time.monotonic()

    def close(self) -> None:
        """End broker and controller."""
        super().close()
        if self._apart is not None:
            self._apart.kill()

    def admin(self) -> KafkaAdminClient:
        """Return an administration client; the caller closes it."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)

    def create(
        self, topic: str, *, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic and wait until all its partitions have a leader."""
        options = {
            "num_partitions": partitions,
            "replication_factor": 1,
            "configs": dict(config or {}),
        }
        with self.admin() as admin:
            admin.create_topics({topic: options}, wait_for_metadata=True)

    def read(
        self,
        topic: str,
        *,
        expect: int = 0,
        committed: bool = True,
        quiet: float = 3.0,
        timeout: float = 60.0,
    ) -> list[Consumed]:
        """Read a topic from its beginning with Kafka's own console consumer.

        Args:
            topic: To be read, to its end.
            expect: Records that must be there; fewer are read again until ``timeout``.
            committed: Whether records of open and aborted transactions are left out.
            quiet: Seconds without a record after which the end is taken to be reached.
            timeout: Seconds until fewer than ``expect`` records are returned as they are.

        Returns:
            All records, partition by partition in the order of offsets; also those beyond
            ``expect``.
        """
        deadline = time.monotonic() + timeout
        while True:
            records = self._consume(topic, committed, quiet)
            if len(records) >= expect or time.monotonic() > deadline:
                return sorted(records, key=lambda record: (record.partition, record.offset))
            quiet = min(2 * quiet, 15.0)

    def segment(self, topic: str, partition: int) -> Path:
        """Return the broker's own file of a partition that has only one."""
        (found,) = (self._folder / "data" / f"{topic}-{partition}").glob("*.log")
        return found

    def _consume(self, topic: str, committed: bool, quiet: float) -> list[Consumed]:
        show = ("print.partition", "print.offset", "print.headers", "print.key", "print.value")
        separators = {
            "key.separator": FIELD,
            "line.separator": LINE,
            "headers.separator": HEADER,
            "null.literal": NULL,
        }
        properties = [f"{name}=true" for name in show]
        properties += [f"{name}={text}" for name, text in separators.items()]
        command = self._command(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            *("--bootstrap-server", self.bootstrap_servers, "--topic", topic, "--from-beginning"),
            *("--isolation-level", "read_committed" if committed else "read_uncommitted"),
            *("--timeout-ms", str(round(quiet * 1000))),
            *("--command-property", f"max.partition.fetch.bytes={MAX_MESSAGE_BYTES}"),
            *(part for each in properties for part in ("--formatter-property", each)),
            options=SHORT_LIVED,
        )
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        lines = done.stdout.decode(errors="replace").split(LINE)
        return [_consumed(line) for line in lines if FIELD in line]

    def _controller_in(self, place: Path) -> GuardedProcess:
        """Prepare a controller, and the broker to be without one of its own."""
        place.mkdir(exist_ok=True)
        config = place / "controller.properties"
        self._controller_config = config
        config.write_text(CONTROLLER.format(controller=self._controller, place=place))
        added = BROKER.format(controller=self._controller, plain=self._plain, sasl=self._sasl)
        self._config.write_text(self._config.read_text() + added)
        command = self._command("kafka.Kafka", str(config), options=SMALL_HEAP)
        return GuardedProcess("controller", command, place)

    def _format(self, config: Path, *more: str) -> None:
        command = self._command(
            "kafka.tools.StorageTool",
            *("format", "-t", self._cluster, "-c", str(config), *more),
            options=SHORT_LIVED,
        )
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def _command(self, main: str, *arguments: str, options: tuple[str, ...]) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        classpath = f"{self._jars}/*"
        return [self._java, *options, logging, "-cp", classpath, main, *arguments]

    def _answers(self) -> bool:
        try:
            with KafkaAdminClient(
                bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=1000
            ) as admin:
                return bool(admin.describe_cluster()["brokers"])
        except (KafkaError, OSError):
            return False


def _consumed(line: str) -> Consumed:
    partition, offset, headers, key, value = line.split(FIELD, 4)
    pairs = headers.removeprefix("Headers:").split(HEADER) if ":" in headers else []
    return Consumed(
        partition=int(partition.removeprefix("Partition:")),
        offset=int(offset.removeprefix("Offset:")),
        headers={name: text for name, _, text in (pair.partition(":") for pair in pairs)},
        key=None if key == NULL else key,
        value=None if value == NULL else value,
    )
