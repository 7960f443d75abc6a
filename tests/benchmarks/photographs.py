"""Have a worker on a real Kafka decide every photograph, and hold the decisions against the truth.

Prints two confusion tables in Markdown: of all photographs, and only of those that share neither
a group of near copies nor a source with a prototype or with a photograph that set a threshold.

    python -m tests.benchmarks.photographs --data FOLDER [--release DIR]

FOLDER holds ``sources.csv`` with the columns file, role (firearm, negative, borderline),
source_repo, dup_group and sha256_file.
"""

import argparse
import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.release import Release, load_release
from moderator.compose import NamedImage, build_record, media_type
from moderator.settings import STARTER
from tests.benchmarks.processes import cpu_seconds, pss_bytes
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network
from tests.services.kafka import KafkaService

PARTITIONS = 4
ROLES = ("firearm", "negative", "borderline")
LEARNT = "The release has a head, which may have learnt from any of these photographs."
SHORT = 16
"""Hex digits of a photograph's digest that a release keeps."""

Row = Mapping[str, str]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--release", type=Path, default=STARTER)
    arguments = parser.parse_args()
    with (arguments.data / "sources.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    release = load_release(arguments.release)
    decisions = decide(arguments.data, rows, arguments.release)
    print(f"\nRelease {release.id}, {len(rows)} photographs.\n\n### All photographs\n")
    show(rows, decisions)
    fresh = unseen(rows, release)
    print(f"\n### The {len(fresh)} that share neither near copies nor source\n")
    if release.head is not None:
        print(f"{LEARNT}\n")
    show(fresh, decisions)


def decide(data: Path, rows: Sequence[Row], release: Path) -> dict[str, dict[str, Any]]:
    """Post every photograph, half of them as JSON, and return the decisions by file."""
    topics = TopicNames.unique()
    with tempfile.TemporaryDirectory() as folder:
        kafka = KafkaService(Path(folder))
        kafka.start()
        try:
            topics.create(kafka, partitions=PARTITIONS)
            network = Network(kafka, topics)
            for n, row in enumerate(rows):
                path = data / row["file"]
                image = NamedImage("0", path.read_bytes(), media_type(path))
                form = "json" if n % 2 else "binary"
                network.put(build_record([image], post_id=row["file"], form=form))
            network.flush()
            given = topics.overrides(kafka) | {"release": str(release), "session_timeout": "30"}
            given |= {"decode_processes": "2", "embed_threads": "2"}
            member = Member(given, Path(folder))
            found = collect(network, member, len(rows))
            print(f"SIGTERM: exit code {member.stop()}")
            network.close()
        finally:
            kafka.kill()
    return found


def collect(network: Network, member: Member, count: int) -> dict[str, dict[str, Any]]:
    """Wait for all decisions, watching the member's memory, and check that each came once."""
    peak, begin = 0, time.perf_counter()
    while network.committed() < count:
        assert member.process.poll() is None, member.log.read_text()
        peak = max(peak, pss_bytes(member.process.pid))
        time.sleep(0.5)
    seconds = time.perf_counter() - begin
    bodies = [json.loads(row.value) for row in network.rows(network.topics.decisions)]
    sources = Counter(
        (s["topic"], s["partition"], s["offset"]) for s in (body["source"] for body in bodies)
    )
    print(
        f"{len(bodies)} decisions in {seconds:.0f} s with the start ({count / seconds:.1f} "
        f"images/s), CPU {cpu_seconds(member.process.pid):.0f} s, peak memory (PSS) "
        f"{peak / 1e6:.0f} MB; each record decided once: {sources == network.sources}"
    )
    return {body["post_id"]: body for body in bodies}


def unseen(rows: Iterable[Row], release: Release) -> list[Row]:
    """Return the photographs of which the release knows neither source nor near copy."""
    rows = list(rows)
    known = {each.rpartition("/")[2] for each in release.prototypes.ids}
    known |= set(release.report["threshold_photographs"]["digests"])
    used = [row for row in rows if row["sha256_file"][:SHORT] in known]
    groups = {row["dup_group"] for row in used}
    sources = {row["source_repo"] for row in used}
    return [r for r in rows if r["dup_group"] not in groups and r["source_repo"] not in sources]


def show(rows: Sequence[Row], decisions: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a confusion table by role, and what was wrong by kind."""
    reasons = Counter(
        (row["role"], decisions[row["file"]]["decision"], decisions[row["file"]]["reason"])
        for row in rows
    )
    columns = sorted({(decision, reason) for _, decision, reason in reasons})
    print("| truth | photographs | " + " | ".join(f"{d}: {r}" for d, r in columns) + " | flagged |")
    print("|---" * (len(columns) + 3) + "|")
    for role in ROLES:
        total = sum(n for (its, _, _), n in reasons.items() if its == role)
        if not total:
            continue
        flagged = sum(n for (its, d, _), n in reasons.items() if its == role and d == "flag")
        cells = " | ".join(str(reasons[role, d, r]) for d, r in columns)
        print(f"| {role} | {total} | {cells} | {flagged / total:.1%} |")
    print("\n| wrong, by kind | of | |\n|---|---|---|")
    kinds = Counter((row["role"], row["class"]) for row in rows if row["role"] != "borderline")
    wrong = Counter(
        (row["role"], row["class"])
        for row in rows
        if row["role"] != "borderline"
        and (decisions[row["file"]]["decision"] == "flag") != (row["role"] == "firearm")
    )
    for (role, name), count in wrong.most_common(12):
        mistake = "missed" if role == "firearm" else "flagged"
        print(
            f"| {name}, {mistake} {count} | {kinds[role, name]} | {count / kinds[role, name]:.0%} |"
        )


if __name__ == "__main__":
    main()
