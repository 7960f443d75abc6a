"""The README says what is so: settings, metrics, figures, commands, targets and files.

``python -m tests.moderator.test_readme`` writes anew what is generated.
"""

import importlib
import pkgutil
import re
import tomllib
from itertools import chain
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from prometheus_client import REGISTRY

import moderator
from models.release import load_release
from moderator.cli import cli
from moderator.settings import STARTER, settings_table
from training.__main__ import COMMANDS
from training.__main__ import cli as training

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"


def metrics_table() -> str:
    """Return all metrics of the worker as rows of a Markdown table."""
    for module in pkgutil.walk_packages(moderator.__path__, "moderator."):
        if not module.ispkg and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    rows = []
    for collector in {*REGISTRY._collector_to_names}:
        for family in collector.describe() if hasattr(collector, "describe") else ():
            if family.name.startswith("moderator_"):
                suffix = "_total" if family.type == "counter" else ""
                labels = ", ".join(f"`{label}`" for label in collector._labelnames)
                name = f"`{family.name}{suffix}`"
                rows.append(f"| {name} | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *sorted(rows)])


def starter_table() -> str:
    """Return the figures of the starter that a reader has to know."""
    test = load_release(STARTER).report["figures"]["test"]
    flags, types = test["flags"], test["types"]
    at = flags["at_threshold"]
    rows = [
        (f"of {flags['firearms']} photographs of firearms, flagged", at["recall"]),
        (f"of {flags['harmless']} harmless photographs, flagged", at["false_flags"]),
        ("firearms whose nearest prototype has the right type", types["recall_at_1"]),
        ("firearms whose nearest prototype is of the right family", types["family_at_1"]),
    ]
    lines = [f"| {what} | {share:.1%} |" for what, share in rows]
    return "\n".join(["| on sources it has not seen | share |", "|---|---|", *lines])


GENERATED = {"settings": settings_table, "metrics": metrics_table, "starter": starter_table}


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}:[^\n]*-->\n)(.*?)(<!-- end of {name} -->)", re.DOTALL)


def rewritten(text: str) -> str:
    for name, table in GENERATED.items():
        body = f"\n{table()}\n\n"
        text = block(name).sub(lambda found, body=body: f"{found[1]}{body}{found[3]}", text)
    return text


@pytest.fixture(scope="module")
def text() -> str:
    return README.read_text()


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_is_in_step(text, name) -> None:
    found = block(name).search(text)
    assert found is not None
    assert found[2].strip() == GENERATED[name](), "run: python -m tests.moderator.test_readme"


def test_every_command_that_it_names_is_there(text) -> None:
    named = re.findall(r"\bmoderator ((?:[a-z][a-z-]*)(?: [a-z]+)?)", "\n".join(code(text)))
    assert {"demo", "worker", "decide"} <= {name.split()[0] for name in named}
    for name in named:
        first, *rest = name.split()
        assert first in cli.commands, name
        if isinstance(cli.commands[first], click.Group):
            assert rest, name
            assert rest[0] in cli.commands[first].commands, name


def code(text: str) -> list[str]:
    """Return what stands in code blocks, comments left out, and in code spans."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0] for each in blocks for line in each.splitlines()]
    return lines + re.findall(r"`(moderator [^`]*)`", text)


def test_every_option_that_it_names_is_there(text) -> None:
    known = {"--help", "--require-hashes", "--no-deps"}
    trained = [training.get_command(click.Context(training), name) for name in COMMANDS]
    stack: list[click.Command] = [cli, *(command for command in trained if command)]
    while stack:
        command = stack.pop()
        known.update(option for each in command.params for option in each.opts)
        stack += command.commands.values() if isinstance(command, click.Group) else []
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named <= known, named - known


def test_every_command_of_training_that_it_names_is_there(text) -> None:
    named = re.findall(r"python -m training ([a-z0-9]+)", "\n".join(code(text)))
    table = re.search(r"## Training\n.*?\n\n(\|.*?)\n\n", text, re.DOTALL)[1]
    listed = re.findall(r"`([a-z0-9]+)(?: [a-z]+)?`", "\n".join(
        row.split("|")[1] for row in table.splitlines()))  # fmt: skip
    assert {"synthesize", "classify"} <= set(named)
    assert set(named) | set(listed) <= set(COMMANDS)
    assert set(COMMANDS) - set(listed) == {"starter"}


def test_every_make_target_that_it_names_is_there(text) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    spans = re.findall(r"`(make [^`]*)`", text)
    named = set(re.findall(r"\bmake ([a-z-]+)", "\n".join([*code(text), *spans])))
    assert {"demo", "test"} <= named <= targets


def test_every_setting_that_it_names_is_there(text) -> None:
    known = set(re.findall(r"^\| `(\w+)` \|", settings_table(), re.M))
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert set(tomllib.loads(example[1])) <= known
    given = re.findall(r"--set (\w+)=", text)
    assert set(given) - {"name"} <= known


def test_what_it_links_to_is_there(text) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (REPOSITORY / target).exists(), target
    for folder in re.findall(r"`((?:models|moderator|training|tests)/[\w/-]*)`", text):
        assert (REPOSITORY / folder).is_dir(), folder


def test_every_extra_is_named_and_dev_takes_in_those_that_tests_need(text) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    table = re.search(r"\| extra \|.*?\n\n", text, re.DOTALL)[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.M)) == set(extras)
    (own,) = (Requirement(each) for each in extras["dev"] if each.startswith("moderator["))
    assert own.extras == {name for name, packages in extras.items() if packages} - {"dev"}


def test_the_lock_holds_what_every_extra_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = (REPOSITORY / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lines, re.M))
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    for each in map(Requirement, asked):
        if each.name != project["name"]:
            assert each.specifier.contains(locked.get(each.name, "0")), each


def test_the_changelog_has_the_version_that_is_built() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## [{version}] - 20" in (REPOSITORY / "CHANGELOG.md").read_text()


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text()))
