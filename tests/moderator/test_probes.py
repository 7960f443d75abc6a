"""Addresses that cannot be listened on; what the probes answer is tested with the watchdog."""

import pytest

from moderator.errors import BadSettings
from moderator.probes import Probes
from moderator.watchdog import Watchdog


@pytest.mark.parametrize("host", ["192.0.2.1", "host.invalid", "a..b", "::1", "12.34.56.78.90"])
def test_a_host_that_is_not_this_machine_is_said_to_be_the_hosts_fault(host) -> None:
    with pytest.raises(BadSettings) as caught:
        Probes(host, 0, Watchdog(30))
    text = str(caught.value)
    assert text.startswith(f"listening on {host}:0 fails: ")
    assert "http_host must be" in text
    assert "http_port" not in text
    assert "\n" not in text


def test_a_port_in_use_is_the_ports_fault() -> None:
    with Probes("127.0.0.1", 0, Watchdog(30)) as first:
        with pytest.raises(BadSettings, match="is in use; choose another http_port") as caught:
            Probes("127.0.0.1", first.port, Watchdog(30))
        assert "http_host" not in str(caught.value)
