"""The command line of training: its commands and exit codes. Knows nothing of what they do.

A command's module is imported only once it is asked for, so that ``--help`` is answered at once.
"""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

import importlib
import sys
from collections.abc import Sequence

import click

WRONG = 2
"""Exit code of a run that ended with an error that is named."""

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

COMMANDS = {
    "classify": "Stage 1: train a network to tell types apart.",
    "retrieve": "Stage 2: train a network to bring photographs of one type together.",
    "distil": "Train a small network on what a larger one says of photographs.",
    "tune": "Train the top of an ImageNet network to tell firearms from all else, and their types.",
    "folds": "Hold large sources out in turn: tune on the others, test on the one.",
    "study": "Compare the paper's methods on several splits of types.",
    "evaluate": "Measure networks: retrieval, flags, calibration; tables and figures.",
    "calibrate": "Choose a release's policy anew on other photographs.",
    "prototypes": "Compare how many prototypes types have, and how they are chosen.",
    "release": "Make a release of folders of photographs.",
    "head": "Train a head that names and flags on a release's network, and release it.",
    "starter": "Make the starter release.",
    "card": "Write the model card of a release.",
    "synthesize": "Draw a data set of firearms.",
    "firearm14k": "Check a copy of the Firearm 14k data set.",
}
"""Commands with the line that the list of commands shows, in the order of use."""


class Commands(click.Group):
    """The commands of ``training.commands``, each imported once it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"training.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train networks, measure them, and make releases of them.

    \b
    Examples:
      python -m training classify --data firearm-dataset --out runs/cls
      python -m training retrieve --data firearm-dataset --init runs/cls --out runs/cls-double
      python -m training evaluate --data firearm-dataset --run cls+double=runs/cls-double --out out
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    from models.errors import ModelError
    from training.errors import TrainingError

    try:
        cli.main(arguments, prog_name="python -m training", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG
    except click.ClickException as error:
        # One line, unlike click's own usage text.
        return _wrong(_said(error))
    except (TrainingError, ModelError) as error:
        return _wrong(str(error))
    except OSError as error:
        return _wrong(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return 0


def _said(error: click.ClickException) -> str:
    """Return what is wrong with what was typed, and where to read what may be."""
    text = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = context.command_path if context else "python -m training"
    return f"{text[:1].lower()}{text[1:]}; see `{where} --help`"


def _wrong(message: str) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return WRONG


if __name__ == "__main__":
    sys.exit(main())
