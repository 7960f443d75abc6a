"""The port for metrics and probes, and the log."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Seconds


class Serving(Concern):
    """The port for metrics and probes, and the log."""

    http_host: str = Field(
        default="127.0.0.1",
        description="Address /metrics and the probes listen on, IPv4 or IPv6; :: takes both.",
    )
    http_port: int = Field(
        default=9108,
        ge=0,
        le=65_535,
        description="Port of /metrics, /livez, /readyz; 0: any free one.",
    )
    runtime_folder: Path | None = Field(
        default=None,
        description="Folder of the socket that `moderator drain` asks over, for this user alone. "
        "None: moderator-<user id> in XDG_RUNTIME_DIR or the folder for temporary files.",
    )
    stall_timeout: Seconds = Field(
        default=25.0,
        ge=5,
        description="Seconds without progress of the poll loop or a commit until /livez fails.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Format of log lines: text or json."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged: DEBUG, INFO, WARNING or ERROR."
    )
