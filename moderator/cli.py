"""The commands: their options, their help, and which part of the system does the work.

What a command needs is imported only once it runs with settings that are in order, so that
``--help`` and wrong settings are answered at once.
"""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from moderator.dead_letters.commands import dead_letters
from moderator.evidence.commands import evidence
from moderator.options import (
    Group,
    Tuned,
    configured,
    consoles,
    exit_code,
    open_standard_streams,
    version,
)
from moderator.release_commands import release

if TYPE_CHECKING:
    from moderator.settings import Settings

FILE = click.Path(path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, callback=version, expose_value=False, help="Show the version."
)
def cli() -> None:
    """Find the posts whose images show firearms, and say which.

    \b
    Examples:
      moderator demo
      moderator decide photo.jpg
      moderator worker --set bootstrap_servers=kafka:9092
    """


@cli.command(cls=Tuned)
@configured
def worker(settings: "Settings") -> int:
    """Read posts from Kafka and publish a decision for each.

    Runs until SIGTERM or Ctrl-C, then finishes what it has read, and exits with code 0.

    \b
    Example:
      moderator worker --set bootstrap_servers=kafka-1:9092,kafka-2:9092 --set instance=a
    """
    from moderator import logs

    logs.set_up(settings.serving)
    from moderator.worker import run_worker

    return run_worker(settings)


@cli.command()
@click.option(
    "--leave", is_flag=True, help="Also have a static member leave its group for good, dead or not."
)
@configured
def drain(settings: "Settings", leave: bool) -> int:
    """Have the worker on this machine finish what it has read, commit and exit.

    It is asked over a Unix socket that only its own user may use. Where a machine runs several
    members, this needs the member's instance. In Kubernetes it may be the preStop hook. Ends when
    the worker's process has: exit code 1 where that takes longer than its drain time.

    A static member (group_instance_id) keeps its partitions for its restart. With --leave they go
    to the others at once; it works as well where that member has died, from any machine.

    \b
    Examples:
      moderator drain
      moderator drain --leave --set group_instance_id=moderator-3 --set bootstrap_servers=kafka:9092
    """
    from moderator.draining import run_drain

    return run_drain(settings, consoles()[0], leave=leave)


@cli.command()
@click.option("--posts", default=60, show_default=True, help="Posts after which it ends.")
@click.option("--images", type=FOLDER, help="Folder of photographs to post as well.")
@configured
def demo(settings: "Settings", posts: int, images: Path | None) -> int:
    """Show a real worker deciding posts, on a Kafka of its own.

    Needs no broker, Java, Docker or GPU. Ends after --posts or with Ctrl-C; exit code 1 unless
    every post was decided.

    \b
    Example:
      moderator demo --posts 100 --images ~/photographs
    """
    from moderator.demo.session import run_demo

    return run_demo(posts=posts, images=images, settings=settings, console=consoles()[0])


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="A decision/1 record a line and image.")
@click.option("-v", "--verbose", is_flag=True, help="Show the nearest prototypes as well.")
@configured
def decide(settings: "Settings", images: Sequence[Path], as_json: bool, verbose: bool) -> int:
    """Decide image files as the worker would, without Kafka.

    A folder stands for the image files in it and below, `-` for a list of files on the standard
    input. One line an image, in the order given. Exit code 1 where a file could not be opened:
    its decision is `unreachable`. What opens but is no image is `undecodable`, exit code 0.

    In the records of --json the source's topic is `file`, and its offset counts the images.

    \b
    Examples:
      moderator decide photo.jpg
      find . -name '*.jpg' | moderator decide --json - > decisions.jsonl
    """
    from moderator.judge import run_decide

    out, err = consoles()
    return run_decide(settings, images, out=out, err=err, as_json=as_json, verbose=verbose)


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=FILE)
@click.option("--post-id", help="Id of the post; a random one else.")
@click.option("--author-id", help="Who posts.")
@click.option("--as", "form", type=click.Choice(["binary", "json"]), help="Form of the record.")
@click.option("--rate", type=float, help="Most posts per second.")
@click.option("--together", is_flag=True, help="Make one post of all images.")
@click.option(
    "--canary",
    type=click.Choice(["flag", "pass"]),
    help="Sign the posts as canaries: this decision is right.",
)
@click.option("--type", "type_", help="With --canary flag: this type is right.")
@configured
def post(
    settings: "Settings",
    images: Sequence[Path],
    *,
    post_id: str | None,
    author_id: str | None,
    form: Literal["binary", "json"] | None,
    rate: float | None,
    together: bool,
    canary: Literal["flag", "pass"] | None,
    type_: str | None,
) -> int:
    """Post image files to the posts topic.

    Prints a line a post: the id that its decision will have, its post id, its files.

    Canaries are decided like other posts, but reviewers never see them; workers with the same
    canary_secret know them by their signature and count those that are decided wrong.

    \b
    Examples:
      moderator post a.jpg b.jpg --together --author-id me --set bootstrap_servers=kafka:9092
      MODERATOR_CANARY_SECRET=... moderator post gun.jpg --canary flag --type glock_17
    """
    from moderator.canary import Expectation
    from moderator.errors import BadSettings
    from moderator.post import run_post

    if type_ is not None and canary != "flag":
        raise BadSettings("--type says which type is right of what is flagged; add --canary flag")
    out, err = consoles()
    return run_post(
        settings,
        images,
        out=out,
        err=err,
        post_id=post_id,
        author_id=author_id,
        form=form,
        rate=rate,
        together=together,
        canary=None if canary is None else Expectation(canary, type_),
    )


@cli.command()
@click.option("--from", "begin", required=True, help="Where the range begins.")
@click.option("--to", "end", default="latest", show_default=True, help="Before what it ends.")
@click.option("--release", required=True, type=FOLDER, help="Release that decides now.")
@click.option("--against", type=FOLDER, help="Compare with this release, not what was published.")
@click.option("--overlay", help="Apply the prototypes topic: latest, or up to an offset.")
@click.option("--out", "out_file", type=FILE, help="File for what differs, a JSON object a line.")
@click.option("--topic", help="Topic for what differs; it must exist.")
@click.option("--json", "as_json", is_flag=True, help="Summarise as one JSON object.")
@configured
def replay(
    settings: "Settings",
    *,
    begin: str,
    end: str,
    release: Path,
    against: Path | None,
    overlay: str | None,
    out_file: Path | None,
    topic: str | None,
    as_json: bool,
) -> int:
    """Decide posts of the past again and show what is decided differently.

    The group and its offsets are left alone. A range begins and ends at a time
    (2026-05-01T12:00Z), a while ago (-2h; s, m, h or d), earliest, latest, or offsets of
    partitions (0:1200,1:900). Posts within 1e-4 of a threshold, and those with images that can
    be fetched only once of the two times, are listed apart.

    \b
    Examples:
      moderator replay --from -2h --release releases/5a3c0d9e17b2f684 --out differs.jsonl
      moderator replay --from 0:0 --to 0:500 --release new --against old --json
    """
    from moderator.replaying.replay import Request, run_replay

    out, err = consoles()
    request = Request(begin, end, release, against, overlay, out_file, topic, as_json)
    return run_replay(settings, request, out=out, err=err)


@cli.command()
@configured
def check(settings: "Settings") -> int:
    """Test all that a worker needs; change nothing.

    That is: brokers, permissions, topics, limits, Redis and the release.

    One line a check: ok, WARN or FAIL, what was found, and how to mend it. Exit code 1 where a
    check failed.

    \b
    Example:
      moderator check --config worker.toml
    """
    from moderator.check import run_check

    return run_check(settings, consoles()[0])


@cli.group(cls=Group)
def topics() -> None:
    """Create the topics.

    \b
    Example:
      moderator topics create --set replication=1 --set min_insync_replicas=1
    """


@topics.command("create")
@configured
def topics_create(settings: "Settings") -> int:
    """Create the topics that are not there yet.

    They get the partitions, limits and retention that the settings say.

    \b
    Example:
      moderator topics create --set replication=1 --set min_insync_replicas=1
    """
    from moderator.streaming.topics import create_topics

    create_topics(settings, consoles()[0])
    return 0


for group in (release, dead_letters, evidence):
    cli.add_command(group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 not all of it, 2 a named error, 130 Ctrl-C."""
    open_standard_streams()
    sys.exit(exit_code(cli, arguments))


if __name__ == "__main__":
    main()
