"""Run the chaos suite from the command line; ``make chaos`` stands for it.

python -m tests.chaos --posts 2000 --kills 4 --restarts 1 --rebalances 2 --seed 1
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from moderator.compose import NamedImage, PostRecord, build_record
from moderator.settings import STARTER
from tests.chaos.driver import SESSION, Order, run
from tests.chaos.plan import Amounts, others, plan
from tests.chaos.release import cheap_release, pictures
from tests.chaos.report import as_json, as_markdown
from tests.services.process import ServiceMissingError

CHEAP = "untrained, 32 × 32 pixels, embeddings cached in Redis"
REAL = "the starter release, embeddings kept for 1 ms at most"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the report; return 0 where all is well, 1 where not, 2 where it cannot run."""
    given = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        try:
            report = run(
                order(given, folder), folder, lambda line: print(line, flush=True), given.keep
            )
        except ServiceMissingError as error:
            print(f"chaos: {error}", file=sys.stderr)
            return 2
    text = as_markdown(report)
    print(text)
    if given.report:
        given.report.mkdir(parents=True, exist_ok=True)
        stem = f"{given.release}-seed-{given.seed}-posts-{given.posts}"
        (given.report / f"{stem}.md").write_text(text)
        (given.report / f"{stem}.json").write_text(as_json(report) + "\n")
    return 1 if report.failures() else 0


def order(given: argparse.Namespace, folder: Path) -> Order:
    """Return what the command line asks for; a cheap release is written into the folder."""
    amounts = Amounts(
        given.kills,
        given.restarts,
        given.rebalances,
        others(
            (given.kills + given.restarts + given.rebalances) // 6
            if given.others is None
            else given.others
        ),
    )
    real = given.release == "starter"
    shown = pictures()
    return Order(
        seed=given.seed,
        posts=given.posts,
        members=given.members,
        partitions=given.partitions,
        faults=plan(amounts, given.seed, SESSION),
        release=STARTER if real else cheap_release(folder / "release", shown),
        network=REAL if real else CHEAP,
        records=drawings() if real else shown.records(),
        settings={"cache_entries": "0", "cache_ttl": "0.001"} if real else {},
        pace=given.pace or (10 if real else 150),
        cleanup=given.cleanup,
    )


def drawings() -> list[PostRecord]:
    """Return posts of drawn firearms and of other things."""
    from moderator.demo.drawings import draw, jpeg, names

    shown = [
        jpeg(draw(name, 3, "posted"))
        for kind in ("firearm", "lookalike", "harmless")
        for name in names(kind)
    ]
    return [
        build_record([NamedImage("0", data, "image/jpeg")], post_id="of the poster", form="binary")
        for data in shown
    ]


def parser() -> argparse.ArgumentParser:
    """Return what the command line takes."""
    taken = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    taken.formatter_class = argparse.RawDescriptionHelpFormatter
    taken.add_argument("--posts", type=int, default=2000)
    taken.add_argument("--kills", type=int, default=4, help="SIGKILL to members")
    taken.add_argument("--restarts", type=int, default=1, help="of the broker")
    taken.add_argument("--rebalances", type=int, default=2, help="members that join or leave")
    taken.add_argument("--others", type=int, help="further faults; default: a sixth of the rest")
    taken.add_argument("--members", type=int, default=3)
    taken.add_argument("--partitions", type=int, default=6)
    taken.add_argument("--seed", type=int, default=1)
    taken.add_argument("--pace", type=float, default=0, help="most posts a second; 0: by release")
    taken.add_argument("--cleanup", type=float, default=5.0, metavar="SECONDS",
                        help="between the broker's looks for dead transactions")  # fmt: skip
    taken.add_argument("--release", choices=("cheap", "starter"), default="cheap")
    taken.add_argument("--report", type=Path, help="folder to write the report into")
    taken.add_argument("--keep", type=Path, help="folder for the logs of members and services")
    return taken


if __name__ == "__main__":
    sys.exit(main())
