"""The real Kafka with a listener behind a proxy, and what its own log and files tell.

Members know only the proxy's address; the driver's own clients use the open listener, so that what
is done to the members' network does not blind whoever watches.
"""

import re
from pathlib import Path

from tests.chaos.markers import Marker, markers
from tests.chaos.proxy import Proxy
from tests.services.kafka import LOGGING, KafkaService
from tests.services.process import free_port

SETTINGS = """
listeners={listeners},PROXIED://127.0.0.1:{behind}
advertised.listeners={advertised},PROXIED://127.0.0.1:{proxy}
listener.security.protocol.map={protocols},PROXIED:PLAINTEXT
transaction.abort.timed.out.transaction.cleanup.interval.ms={cleanup}
"""
"""Added behind the service's own: of a name that comes twice the last one counts."""

GROUPS = """
logger.groups.name=org.apache.kafka.coordinator.group
logger.groups.level=INFO
"""


class ChaosBroker(KafkaService):
    """A broker whose members talk to it through ``proxy``.

    Args:
        folder: An empty folder, which may be a small disk of its own.
        controller: A folder for the controller, which lives on while the broker is away.
        cleanup: Seconds between two looks of the broker for transactions that are out of time.
    """

    start_timeout = 180.0
    """It has logs to recover, and members that all want to talk to it at once."""

    def __init__(self, folder: Path, controller: Path, *, cleanup: float) -> None:
        super().__init__(folder, controller=controller)
        self.cleanup = cleanup
        behind, port = free_port(), free_port()
        self.proxied_bootstrap_servers = f"127.0.0.1:{port}"
        self.proxy = Proxy(port, behind)
        text = self._config.read_text()
        names = ("listeners", "advertised.listeners", "listener.security.protocol.map")
        listeners, advertised, protocols = (_value(text, name) for name in names)
        added = SETTINGS.format(
            listeners=listeners,
            advertised=advertised,
            protocols=protocols,
            behind=behind,
            proxy=port,
            cleanup=round(cleanup * 1000),
        )
        self._config.write_text(text + added)
        (folder / "log4j2.properties").write_text(LOGGING + GROUPS)

    def generations(self, group: str) -> int:
        """Return how often a group came to a new agreement on who has which partitions."""
        wanted = re.compile(rf"Stabilized group {re.escape(group)} generation")
        return len(wanted.findall(self.log_path.read_text(errors="replace")))

    def markers(self, topic: str) -> list[Marker]:
        """Return the ends of all transactions in all partitions of a topic."""
        folders = (self._folder / "data").glob(f"{topic}-[0-9]*")
        files = (path for folder in folders for path in folder.glob("*.log"))
        return [marker for path in files for marker in markers(path.read_bytes())]


def _value(text: str, name: str) -> str:
    """Return the value of a setting in a properties file, the last one."""
    return re.findall(rf"^{re.escape(name)}=(.*)$", text, re.M)[-1]
