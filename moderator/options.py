"""What all commands share: settings from options, help, and how errors end. Knows no command."""

import difflib
import errno
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

WRONG = 2
"""Exit code of a run that ended with an error whose owner is named."""

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

OUTPUT_LOST = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of writing to the standard output."""

Command = Callable[..., int]


class Group(click.Group):
    """A group of commands that names the nearest one to a command that it does not know."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that arguments begin with.

        Raises:
            click.UsageError: There is none; the text names the nearest one.
        """
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.commands, n=1)
            known = f"did you mean {near[0]}?" if near else f"see `{ctx.command_path} --help`"
            raise click.UsageError(f"no command {name}; {known}", ctx)
        return super().resolve_command(ctx, args)


class Tuned(click.Command):
    """A command whose help ends with all settings and their defaults, read only when asked for."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the settings after all else."""
        from moderator.settings import PREFIX, default, fields

        super().format_epilog(ctx, formatter)
        rows = [
            (name, f"{field.description} [default: {default(name, field)}]")
            for _, name, field in fields()
        ]
        with formatter.section(f"Settings (--set name=value, {PREFIX}NAME or a --config file)"):
            formatter.write_dl(rows)


def configured(command: Command) -> Command:
    """Give a command ``--set`` and ``--config``, and hand it the settings that come of them."""

    @click.option(
        "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Set a setting; repeatable."
    )
    @click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings.")
    @functools.wraps(command)
    def wrapped(overrides: Sequence[str], config: Path | None, **given: Any) -> int:
        from moderator import logs
        from moderator.settings import load_settings

        settings = load_settings(_pairs(overrides), config=config)
        logs.set_up_command(settings.serving)
        return command(settings, **given)

    return wrapped


def _pairs(overrides: Sequence[str]) -> Mapping[str, str]:
    from moderator.errors import BadSettings

    for text in overrides:
        name, equals, _ = text.partition("=")
        if not name.strip():
            raise BadSettings(f"--set {text} names no setting; write --set name=value")
        if not equals:
            raise BadSettings(f"--set {text} names no value; write --set {text}=value")
    return {name.strip(): value for name, _, value in (text.partition("=") for text in overrides)}


def consoles() -> "tuple[Console, Console]":
    """Return the consoles of the standard output and the standard error."""
    from rich.console import Console

    return Console(), Console(stderr=True)


def version(ctx: click.Context, _: click.Parameter, wished: bool) -> None:
    """Show the version and end, where that is wished."""
    if wished:
        from importlib import metadata

        try:
            click.echo(f"moderator {metadata.version('moderator')}")
        except metadata.PackageNotFoundError:
            click.echo("moderator, not installed: run from its source")
        ctx.exit()


def exit_code(cli: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit code; an error with an owner is said in one line."""
    try:
        code = _ran(cli, arguments)
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in OUTPUT_LOST:
            raise
        return _output_lost(error)
    return code


def _ran(cli: click.Command, arguments: Sequence[str] | None) -> int:
    from models.errors import ModelError
    from moderator.errors import ModeratorError

    try:
        code = cli.main(arguments, prog_name="moderator", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG
    except click.UsageError as error:
        return _failed(_usage(error))
    except click.ClickException as error:
        return _failed(error.format_message())
    except (ModeratorError, ModelError) as error:
        return _failed(str(error))
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED


def _output_lost(error: OSError) -> int:
    """Say that the standard output takes no more; whoever closed a pipe knows it already."""
    # What is still buffered would be tried again, and reported, when the interpreter ends.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return 1
    return _failed(
        f"the standard output cannot be written: {error.strerror}; free room, or name another place"
    )


def open_standard_streams() -> None:
    """Open what is closed of the descriptors 0 to 2 on nothing.

    The next file opened would get its number otherwise, and what is printed would go there.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # Inherited, as standard streams are: in a child it would be closed again.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            stream = os.fdopen(descriptor, "r" if name == "stdin" else "w", closefd=False)
            setattr(sys, name, stream)


def _usage(error: click.UsageError) -> str:
    """Return a usage error's text, with where to read on unless it says what was meant."""
    text = error.format_message().rstrip(".")
    text = f"{text[:1].lower()}{text[1:]}"
    if "?" in text or text.endswith("`") or error.ctx is None:
        return text
    return f"{text}; see `{error.ctx.command_path} --help`"


def _failed(message: str) -> int:
    """Say in one line what is wrong."""
    click.echo(f"moderator: {' '.join(message.split())}", err=True)
    return WRONG
