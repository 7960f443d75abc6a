"""The commands of safe copies: their options and their help."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from typing import TYPE_CHECKING

import click

from moderator.options import Group, configured, consoles

if TYPE_CHECKING:
    from moderator.settings import Settings


@click.group(cls=Group)
def evidence() -> None:
    """Remove safe copies of images that the worker keeps.

    \b
    Example:
      moderator evidence sweep --set evidence_url=/var/lib/moderator/evidence
    """


@evidence.command("sweep")
@configured
def evidence_sweep(settings: "Settings") -> int:
    """Remove the copies that have been kept for their time.

    Members do so by themselves, unless evidence_sweep is 0. It can be run at any time.

    \b
    Example:
      moderator evidence sweep --set evidence_url=s3://bucket/evidence
    """
    from moderator.evidence.sweeper import run_sweep

    return run_sweep(settings.evidence, consoles()[0])


@evidence.command("delete")
@click.argument("post_ids", nargs=-1, required=True, metavar="POST_ID...")
@configured
def evidence_delete(settings: "Settings", post_ids: tuple[str, ...]) -> int:
    """Remove all copies of posts.

    None of these posts is copied any more for evidence_retention, whatever is posted under their
    ids. Prints a line a post: how many copies were removed. Exit code 1 where some of a post could
    not be.

    \b
    Example:
      moderator evidence delete 4711 --set evidence_url=s3://bucket/evidence
    """
    from moderator.evidence.sweeper import run_delete

    return run_delete(settings.evidence, post_ids, consoles()[0])


@evidence.command("migrate")
@configured
def evidence_migrate(settings: "Settings") -> int:
    """Move copies from the layout of earlier versions, where posts shared them.

    Each post gets copies of its own, under other names: evidence of decisions published before is
    found by the lines that this prints (old place, new place). Stop members of earlier versions
    first. Deletions of copies that are not moved yet wait for it. Can be interrupted and run again.

    \b
    Example:
      moderator evidence migrate --set evidence_url=s3://bucket/evidence > moved.txt
    """
    from moderator.evidence.sweeper import run_migrate

    return run_migrate(settings.evidence, consoles()[0])
