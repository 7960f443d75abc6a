"""The README says what is so: settings, metrics, figures, commands, targets and files.

``python -m tests.moderator.test_readme`` writes anew what is generated.
"""

import importlib
import pkgutil
import re
import textwrap
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import click
import pytest
from packaging.requirements import Requirement
from prometheus_client import REGISTRY

import moderator
from moderator.cli import cli
from moderator.settings import STARTER, settings_table
from training.__main__ import COMMANDS
from training.__main__ import cli as training
from training.card.inputs import read_inputs
from training.card.markdown import with_interval
from training.card.sources import choices
from training.data.types14k import firearm14k_facts
from training.ranking.margins import best_margins
from training.ranking.openset import LOOKALIKES
from training.ranking.results import join, read_results
from training.ranking.summary import summarise
from training.ranking.tables import claim_table
from training.stages.settings import RetrieveSettings
from training.study.methods import SCALED, methods, pairs_shown

BEST = "cls+double"
"""The paper's best method."""

LARGE = 0.2
"""Share of the starter's firearms that a source needs to be named."""

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
RESULTS = REPOSITORY / "training" / "results"


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
    """Return the figures of the starter that a reader has to know, with what they are made of."""
    inputs = read_inputs(STARTER, RESULTS / "folds")
    test = inputs.release.report["figures"]["test"]
    flags, types = test["flags"], test["types"]
    sources, kinds = flags["firearms_flagged_by_source"], flags["harmless_flagged_by_kind"]
    large = [n for n in sources if sources[n]["photographs"] >= LARGE * flags["firearms"]]
    large.sort(key=lambda name: -sources[name]["photographs"])
    others = [sources[name] for name in sources if name not in large]
    close = [kinds[name] for name in kinds if name in LOOKALIKES]
    rest = [kinds[name] for name in kinds if name not in LOOKALIKES]
    rows = [
        ("photographs of firearms, flagged", pooled([*sources.values()])),
        *((f"– those of `{name}`", pooled([sources[name]])) for name in large),
        (f"– those of the {len(others)} other sources", pooled(others)),
        ("harmless photographs, look-alikes apart, flagged", pooled(rest)),
        ("look-alikes, flagged", pooled(close)),
        ("firearms whose nearest prototype has the right type", told(types, "recall_at_1")),
        ("firearms whose nearest prototype is of the right family", told(types, "family_at_1")),
    ]
    lines = [f"| {what} | {share} |" for what, share in rows]
    table = ["| on sources it has not seen | share |", "|---|---|", *lines]
    return "\n".join([*table, "", *map(wrapped, choices(inputs))])


def pooled(counts: list[dict[str, int]]) -> str:
    """Return how many of some counts are flagged."""
    flagged, total = (sum(own[name] for own in counts) for name in ("flagged", "photographs"))
    return f"{flagged} of {total} ({flagged / total:.1%})" if total else "there are none"


def told(types: dict[str, Any], name: str) -> str:
    """Return a share of the firearms whose type is asked."""
    return "not known" if types[name] is None else f"{types[name]:.1%} of {types['queries']}"


def comparison() -> str:
    """Return what the paper's comparison shows here, from the results that are kept."""
    entries = join(sorted((RESULTS / "protocol").glob("*-split*")))
    settings = next(method.settings for method in methods(SCALED) if method.label == BEST)
    types = next(e["data"]["train_types"] for e in entries if e["label"] == BEST)
    papers = sum(facts.split == "train" for facts in firearm14k_facts().values())
    pairs, most = pairs_shown(settings, types), pairs_shown(RetrieveSettings.paper(), papers)
    summary = summarise(entries)
    maps = {
        (label, asked): with_interval(summary[label][f"{asked}/map"])
        for label in (BEST, "mac")
        for asked in ("every", "paper")
    }
    scale = (
        f"`cls + double` was shown {pairs:,} pairs here, {100 * pairs / most:.2f} % of the paper's "
        f"{most:,}: of {types} types for {papers}, with SqueezeNet 1.1 at {settings.largest} "
        f"pixels for VGG16 at {RetrieveSettings.paper().largest}. Its mAP is {maps[BEST, 'paper']} "
        f"by two queries a type and {maps[BEST, 'every']} where every photograph is asked; with "
        f"ImageNet's weights as they are (`mac`) it is {maps['mac', 'paper']} and "
        f"{maps['mac', 'every']}."
    )
    margins = best_margins(read_results(RESULTS / "margins"))
    assert margins is not None
    legend = (
        "Percentage points, ± half the 95 % interval of the paired difference (Student's t over "
        "splits); **bold** where it holds no 0. Each split has two queries of each of eight types. "
        "*Seen*: whether the paper's gain lies in our interval, by its own two queries a type; "
        "`not told` where 0 does, too."
    )
    parts = (wrapped(scale), claim_table(entries), wrapped(legend),
             wrapped(f"Margins: {margins.says()}"))  # fmt: skip
    return "\n\n".join(parts)


def wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


GENERATED = {
    "settings": settings_table,
    "metrics": metrics_table,
    "starter": starter_table,
    "comparison": comparison,
}


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
    assert {"synthesize", "retrieve", "evaluate", "release"} <= set(named)
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
