"""The jars of Apache Kafka, fetched once by Maven into a cache. Knows nothing of running them.

As a program it fetches them and prints where they lie: ``python tests/services/kafka_jars.py``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "4.3.1"
POM = Path(__file__).with_name("kafka_pom.xml")
REPOSITORY = Path(__file__).resolve().parents[2]


class JarsMissingError(Exception):
    """The jars are not there and could not be fetched; the text says how to get them."""


def kafka_jars() -> Path:
    """Return the folder with Kafka's jars, after fetching them where it is not there yet.

    Raises:
        JarsMissingError: Maven is not installed, or could not fetch them.
    """
    cache = Path(os.environ.get("TEST_CACHE_FOLDER") or REPOSITORY / ".cache")
    target = cache / f"kafka-{VERSION}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="kafka-fetching-") as folder:
        fetched = Path(folder) / "jars"
        _fetch(fetched)
        try:
            fetched.rename(target)
        except OSError:
            # Another run was quicker; a folder that is there is always whole.
            if not target.is_dir():
                raise
    return target


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise JarsMissingError(
            f"Apache Kafka {VERSION} is needed by the tests and is fetched by Maven: "
            "apt-get install maven openjdk-17-jre-headless, or run make test"
        )
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise JarsMissingError(
            f"Maven could not fetch Apache Kafka {VERSION} (is the network reachable?): "
            f"{lines[0] if lines else done.stderr.strip()}"
        )


if __name__ == "__main__":
    try:
        print(kafka_jars())
    except JarsMissingError as error:
        sys.exit(str(error))
