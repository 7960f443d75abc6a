"""Run as many damaged files as are asked for; `make fuzz` stands for this.

Prints a tally, and exits with 1 if a file took too long, stayed without a decision or left a pool
that is not as good as new. A file is run again by ``--only`` with its seed and number.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

from tests.fuzz.run import Tally, default_folder, run

REPORT_EVERY = 1_000


def main() -> None:
    """Parse the command line, run, and report."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="files to make")
    parser.add_argument("--seed", type=int, default=None, help="default: the day's date")
    parser.add_argument("--only", type=int, default=None, help="the number of one file")
    parser.add_argument("--processes", type=int, default=2, help="decode processes")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="for what dies")
    given = parser.parse_args()
    # A death is counted; a line each would drown the tally.
    logging.getLogger("moderator").setLevel(logging.ERROR)
    seed = int(time.strftime("%Y%m%d")) if given.seed is None else given.seed
    numbers = range(given.files) if given.only is None else range(given.only, given.only + 1)
    total = Tally()
    for start in range(0, len(numbers), REPORT_EVERY):
        part = run(
            seed,
            numbers[start : start + REPORT_EVERY],
            processes=given.processes,
            folder=given.folder,
        )
        add(total, part)
        print(f"seed {seed}: {total.files} files, slowest {total.slowest:.2f} s", flush=True)
    print(f"seed {seed}", *total.lines(), sep="\n")
    sys.exit(1 if total.faults else 0)


def add(total: Tally, part: Tally) -> None:
    """Add the tally of a part to that of the whole."""
    total.outcomes += part.outcomes
    total.deaths += part.deaths
    total.faults += part.faults
    total.seconds += part.seconds
    total.peak = max(total.peak, part.peak)
    if part.slowest > total.slowest:
        total.slowest, total.slowest_file = part.slowest, part.slowest_file


if __name__ == "__main__":
    main()
