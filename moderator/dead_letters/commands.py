"""The options of ``moderator dead-letters``. Imports what works only once it is asked to."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moderator.options import Group, configured, consoles

if TYPE_CHECKING:
    from moderator.settings import Settings


def filtered(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that choose dead letters."""
    ago = "an RFC 3339 time, or a time ago such as 2h."
    for option in (
        click.option("--limit", type=click.IntRange(1), help="So many at most, the newest."),
        click.option("--until", help=f"Before then: {ago}"),
        click.option("--since", help=f"From then on: {ago}"),
        click.option("--reason", help="undecodable, unreachable or malformed."),
    ):
        command = option(command)
    return command


@click.group("dead-letters", cls=Group)
def dead_letters() -> None:
    """List, show and replay records that could not be judged.

    \b
    Example:
      moderator dead-letters list --since 2h
    """


@dead_letters.command("list")
@filtered
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@configured
def list_(settings: "Settings", *, as_json: bool, **chosen: Any) -> int:
    """List dead letters: id, time, reason, decision, size and what was wrong.

    \b
    Example:
      moderator dead-letters list --reason undecodable --since 1d --limit 20
    """
    from moderator.dead_letters.running import Filter, run_list

    return run_list(settings, Filter(**chosen), out=consoles()[0], as_json=as_json)


@dead_letters.command("show")
@click.argument("name", metavar="ID")
@click.option(
    "--out", "save", type=click.Path(path_type=Path), help="File that its body is written to."
)
@configured
def show(settings: "Settings", name: str, save: Path | None) -> int:
    """Show a dead letter: where its record came from, what was wrong, its headers.

    ID is as `list` shows it, or the id of the post's decision.

    \b
    Example:
      moderator dead-letters show 3-17 --out post.bin
    """
    from moderator.dead_letters.running import run_show

    return run_show(settings, name, out=consoles()[0], save=save)


@dead_letters.command("replay")
@click.argument("names", nargs=-1, metavar="[ID]...")
@filtered
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--dry-run", is_flag=True, help="Say what would be posted, and post nothing.")
@click.option(
    "--unchecked", is_flag=True, help="Also what was deleted since, or may have been: do not look."
)
@configured
def replay(
    settings: "Settings",
    names: Sequence[str],
    *,
    everything: bool,
    dry_run: bool,
    unchecked: bool,
    **chosen: Any,
) -> int:
    """Post dead letters again, each as it came, to be decided anew.

    The header `moderator.dead-letter` of such a post says which dead letter it was. What was too
    large to be kept whole cannot be replayed, and a post that was deleted since is not: exit code
    1, or 2 where it is the only one. To know that, the posts topic is read from the oldest of the
    posts on.

    \b
    Examples:
      moderator dead-letters replay 3-17
      moderator dead-letters replay --reason unreachable --since 2h --dry-run
    """
    from moderator.dead_letters.running import Filter, run_replay

    meant = bool(names) + any(value is not None for value in chosen.values()) + everything
    if meant != 1:
        raise click.UsageError("name ids, or filters, or --all: one of the three")
    return run_replay(
        settings,
        names,
        Filter(**chosen),
        out=consoles()[0],
        dry_run=dry_run,
        unchecked=unchecked,
    )
