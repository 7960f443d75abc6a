"""The command that makes releases: its options. Knows nothing of how releases are made."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from training.calibration.options import (
    USUAL,
    idle_options,
    policy_options,
    policy_settings,
)
from training.commands.output import PLACE, build_release, release_options
from training.typed import refuse_typed


@click.command("release")
@click.option("--images", type=PLACE, required=True, help="Folder of <type>/<photographs>.")
@click.option(
    "--lookalikes",
    type=PLACE,
    help="Folder of <kind>/<photographs> without firearms: look-alikes and harmless things. "
    "Without it the threshold follows --fallback-recall.",
)
@click.option(
    "--groups",
    type=PLACE,
    help="CSV file with the columns file (relative to the CSV), dup_group, source_repo and, if "
    "you like, role: near copies and sources are then kept on one side.",
)
@click.option(
    "--types",
    type=PLACE,
    help="JSON table of families and display names of types; what it does not name is looked up "
    "among Firearm 14k's.",
)
@click.option(
    "--run",
    type=PLACE,
    help="Directory of a trained run, or of a release, whose network is taken as it is; instead "
    "of --backbone, --weights and the like.",
)
@click.option(
    "--backbone",
    show_default="mobilenet_v2",
    help="torchvision's name of a network, or timm/<name>.",
)
@click.option(
    "--weights",
    help="File .pth or .safetensors, imagenet, a name of torchvision's, or efficientnet-lite; "
    "random without.",
)
@click.option(
    "--pooling",
    type=click.Choice(["mac", "spoc", "gem"]),
    show_default="gem",
    help="How the feature map becomes a vector.",
)
@click.option("--gem-power", type=float, show_default="3.0", help="GeM's exponent.")
@click.option(
    "--dimension",
    type=int,
    help="Of a linear head fitted to the photographs; none: the backbone's channels.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    show_default="224, or the run's",
    metavar="N|HxW",
    help="Input size in pixels; repeatable, the shape nearest to a photograph's is taken.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="SIDE:STRIDE|none",
    show_default="none, or the run's",
    help="Square windows of the feature map, in its cells, that are judged apart; repeatable, "
    "largest first.",
)
@click.option("--mean", type=(float, float, float), help="Of the input; default: ImageNet's.")
@click.option("--std", type=(float, float, float), help="Of the input; default: ImageNet's.")
@click.option("--half-weights", is_flag=True, help="Store weights in 16 bits, at half the size.")
@click.option(
    "--per-type", default="all", show_default=True, metavar="N|all", help="Prototypes of each type."
)
@click.option(
    "--per-kind",
    default="all",
    show_default=True,
    metavar="N|all",
    help="Prototypes of each kind of look-alike.",
)
@click.option(
    "--selection",
    type=click.Choice(["medoids", "facility", "k-centre"]),
    default="medoids",
    show_default=True,
    help="How prototypes are chosen; `prototypes` measures which is best.",
)
@click.option(
    "--clear-margin",
    type=float,
    help="Leave out as prototypes firearms that are not "
    "nearer to another firearm than to any look-alike by this; none: leave out none.",
)
@click.option(
    "--threshold-source",
    "threshold_sources",
    multiple=True,
    help="Source that sets the threshold; repeatable; none: chosen by chance.",
)
@click.option(
    "--test-source",
    "test_sources",
    multiple=True,
    help="Source that is used for the report only; repeatable.",
)
@click.option("--test-sources", "test_file", type=PLACE, help="File of such sources, one a line.")
@click.option(
    "--share",
    type=float,
    default=0.25,
    show_default=True,
    help="Of the photographs, to set the threshold, where chosen by chance.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all chance.")
@click.option(
    "--lookalike-margin",
    type=float,
    default=USUAL.lookalike_margin,
    show_default=True,
    help="A look-alike wins when it is nearer by more than this.",
)
@click.option(
    "--neighbours",
    type=int,
    default=USUAL.neighbours,
    show_default=True,
    help="Neighbours asked of the index.",
)
@click.option(
    "--temperature",
    default="none",
    show_default=True,
    metavar="T|none",
    help="Of the soft rule, by which all neighbours are weighed, such as 0.05; none: the nearest "
    "firearm alone counts.",
)
@policy_options
@release_options
def command(out: Path, *, replace: bool, flags_all: bool, **options: Any) -> None:
    """Make a release of folders of photographs.

    \b
    Example:
      python -m training release --images firearms --lookalikes harmless \\
          --backbone resnet50 --weights imagenet --per-type 50 --out my-release
      python -m training release --images firearms --lookalikes harmless --groups sources.csv \\
          --run runs/tuned --region 4:2 --temperature 0.05 --type-thresholds --out my-release
    """
    from training.recipe import Recipe

    build_release(Recipe(**recipe_options(options)), out, replace=replace, flags_all=flags_all)


def recipe_options(options: dict[str, Any]) -> dict[str, Any]:
    """Turn what was typed into the fields of a recipe; what was not typed is left to it."""
    file = options.pop("test_file")
    if file is not None:
        options["test_sources"] = (*options["test_sources"], *_lines(file))
    if options["run"] is not None:
        _check_run(options)
    options["policy"] = policy_settings(options, USUAL)
    options["sizes"] = tuple(map(_size, options["sizes"])) or None
    options["regions"] = _regions(options["regions"])
    _refuse_idle(options)
    for name in ("per_type", "per_kind"):
        options[name] = _count(name, options[name])
    return {name: value for name, value in options.items() if value is not None}


def _refuse_idle(options: dict[str, Any]) -> None:
    """Refuse what was typed and would be ignored."""
    idle = idle_options(options["policy"], lookalikes=options["lookalikes"] is not None)
    if options["threshold_sources"]:
        idle["share"] = "with --threshold-source"
    if options["pooling"] not in (None, "gem"):
        idle["gem_power"] = f"with --pooling {options['pooling']}"
    if options["lookalikes"] is None:
        idle["per_kind"] = "without --lookalikes"
    if options["per_type"] == options["per_kind"] == "all":
        idle["selection"] = "where --per-type and --per-kind are all"
    # Commands that share these options may lack some.
    refuse_typed(idle)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    try:
        return int(height), int(width or height)
    except ValueError:
        raise click.UsageError(
            f"--size {text} is not a number of pixels, or HEIGHTxWIDTH such as 160x320"
        ) from None


def _check_run(options: dict[str, Any]) -> None:
    """Refuse what a run's network brings with it, even where it is the usual value."""
    from training.recipe import OF_NETWORK

    for name in OF_NETWORK:
        if options[name] is not None:
            option = name.replace("_", "-")
            raise click.UsageError(f"--run brings its own network; leave out --{option}")


def _regions(texts: tuple[str, ...]) -> tuple[tuple[int, int], ...] | None:
    """Return what is typed; None where nothing is, which is not the same as none."""
    if not texts or texts == ("none",):
        return () if texts else None
    try:
        pairs = [text.split(":") for text in texts]
        return tuple((int(side), int(stride)) for side, stride in pairs)
    except ValueError:
        raise click.UsageError(
            f"--region {' '.join(texts)} is neither none nor SIDE:STRIDE in cells, such as 4:2"
        ) from None


def _count(name: str, text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        option = name.replace("_", "-")
        raise click.UsageError(f"--{option} {text} is neither a number from 1 nor all")
    return int(text)


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--test-sources {file} cannot be read: {error}") from None
    return [line.strip() for line in lines if line.strip()]
