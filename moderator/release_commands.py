"""The commands of releases: their options and their help."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moderator.options import Group, configured, consoles

if TYPE_CHECKING:
    from moderator.settings import Settings

PLACE = click.Path(path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FLAGS_ALL = click.option(
    "--flags-all", is_flag=True, help="Take it although it flags nearly everything."
)


@click.group(cls=Group)
def release() -> None:
    """List, show and verify releases; say which one a group serves.

    \b
    Examples:
      moderator release verify releases/5a3c0d9e17b2f684
      moderator release activate 5a3c0d9e17b2f684
    """


@release.command("list")
@click.argument("folder", required=False, type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@configured
def release_list(settings: "Settings", folder: Path | None, as_json: bool) -> int:
    """List the releases in a folder.

    Where no folder is given, those in releases_url, else in the folder of the release in use.
    What the group is to serve is marked where the brokers can be asked: active, staged or shadow.

    \b
    Example:
      moderator release list releases
    """
    from moderator.releases import run_list
    from moderator.rollout.marks import marks
    from moderator.rollout.store import FolderStore, open_store

    store = open_store(settings) if folder is None else FolderStore(folder)
    return run_list(store, consoles()[0], as_json=as_json, marks=marks(settings))


@release.command("show")
@click.argument("directory", required=False, type=PLACE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@configured
def release_show(settings: "Settings", directory: Path | None, as_json: bool) -> int:
    """Show what a release holds.

    Where no directory is given, the release in use.

    \b
    Example:
      moderator release show releases/5a3c0d9e17b2f684
    """
    from moderator.releases import run_show

    return run_show(directory or settings.judging.release, consoles()[0], as_json=as_json)


@release.command("verify")
@click.argument("directory", required=False, type=PLACE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@FLAGS_ALL
@configured
def release_verify(
    settings: "Settings", directory: Path | None, *, as_json: bool, flags_all: bool
) -> int:
    """Check a release: every digest, the network, and that it does not flag nearly everything.

    The network has to give the embeddings on this machine that it gave where it was made.
    Where no directory is given, the release in use.

    \b
    Example:
      moderator release verify releases/5a3c0d9e17b2f684 --set device=cuda
    """
    from moderator.releases import run_verify

    directory = directory or settings.judging.release
    device = settings.pipeline.device
    return run_verify(directory, device, consoles()[0], as_json=as_json, flags_all=flags_all)


@release.command("activate")
@click.argument("target", metavar="ID|PATH")
@FLAGS_ALL
@configured
def release_activate(settings: "Settings", target: str, *, flags_all: bool) -> int:
    """Have the group serve a release.

    It is verified first, with its network, and copied to releases_url where it is not there yet.
    Every member loads it beside the one it serves, and changes over between two batches.

    \b
    Example:
      moderator release activate 5a3c0d9e17b2f684 --set bootstrap_servers=kafka:9092
    """
    from moderator.rollout.commands import run_activate

    return run_activate(settings, target, consoles()[0], flags_all=flags_all)


@release.command("rollback")
@configured
def release_rollback(settings: "Settings") -> int:
    """Have the group serve the release that was active before.

    A second rollback returns to the one that the first left. To go back further, activate a
    release that `moderator release status` lists.

    \b
    Example:
      moderator release rollback --set bootstrap_servers=kafka:9092
    """
    from moderator.rollout.commands import run_rollback

    return run_rollback(settings, consoles()[0])


@release.command("stage")
@click.argument("target", required=False, metavar="[ID|PATH]")
@click.option("--fraction", type=float, default=0.05, show_default=True, help="Share of posts.")
@click.option("--off", is_flag=True, help="Stage nothing any more.")
@FLAGS_ALL
@configured
def release_stage(
    settings: "Settings", target: str | None, *, fraction: float, off: bool, flags_all: bool
) -> int:
    """Have a share of the posts judged by another release.

    Which ones is told by a hash of the post's id: the same on every member.

    \b
    Examples:
      moderator release stage 5a3c0d9e17b2f684 --fraction 0.1
      moderator release stage --off
    """
    _one_of(target, off)
    from moderator.rollout.commands import run_stage

    return run_stage(settings, target, fraction, consoles()[0], flags_all=flags_all)


@release.command("shadow")
@click.argument("target", required=False, metavar="[ID|PATH]")
@click.option("--off", is_flag=True, help="Shadow nothing any more.")
@configured
def release_shadow(settings: "Settings", target: str | None, *, off: bool) -> int:
    """Have a release judge the same posts, for the shadow topic alone.

    \b
    Examples:
      moderator release shadow 5a3c0d9e17b2f684
      moderator release shadow --off
    """
    _one_of(target, off)
    from moderator.rollout.commands import run_shadow

    return run_shadow(settings, target, consoles()[0])


@release.command("diff")
@click.option("--release", "release_id", metavar="ID", help="The shadow; else the last one.")
@click.option("--examples", default=3, show_default=True, help="Decisions named of each kind.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@configured
def release_diff(
    settings: "Settings", *, release_id: str | None, examples: int, as_json: bool
) -> int:
    """Compare what a shadow release decided with what was decided.

    Joins the shadow topic with that of decisions; what differs is told by reason and by type.

    \b
    Example:
      moderator release diff --set bootstrap_servers=kafka:9092
    """
    from moderator.rollout.diff import run_diff

    return run_diff(
        settings, consoles()[0], release_id=release_id, examples=examples, as_json=as_json
    )


@release.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@configured
def release_status(settings: "Settings", as_json: bool) -> int:
    """Show what the group is to serve.

    What a member does serve it tells itself, at /release on its port of metrics.

    \b
    Example:
      moderator release status --set bootstrap_servers=kafka:9092
    """
    from moderator.rollout.commands import run_status

    return run_status(settings, consoles()[0], as_json=as_json)


def _one_of(target: str | None, off: bool) -> None:
    if (target is None) != off:
        raise click.UsageError("name a release, or give --off", click.get_current_context())
