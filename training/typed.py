"""What was typed on the command line, so that nothing typed is ignored. Knows no command."""

from collections.abc import Mapping

import click
from click.core import ParameterSource


def typed(name: str) -> bool:
    """Return whether an option of the command that runs was typed; False outside a command."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_typed(idle: Mapping[str, str]) -> None:
    """Refuse options that were typed although they change nothing.

    Args:
        idle: Parameter's name → beside what it changes nothing, such as ``with --join``.

    Raises:
        click.UsageError: One of them was typed.
    """
    for name, why in idle.items():
        if typed(name):
            raise click.UsageError(f"{_option(name)} has no effect {why}; leave it out")


def _option(name: str) -> str:
    """Return an option as it is typed."""
    params = click.get_current_context().command.params
    return next(param.opts[0] for param in params if param.name == name)
