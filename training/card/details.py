"""What a release is, how its network was trained, of which photographs, and how to make it again.

Pure but for the sizes of files; must not know figures of merit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.card.inputs import Inputs
from training.card.markdown import NONE, bullets, code, table
from training.naming import known_families
from training.starter import TEST_SOURCES, THRESHOLD_SOURCES, tuning

OF_FOLD = ("hold_out", "hold_out_harmless")
"""Settings that differ between folds by their nature."""

OF_MACHINE = ("precision", "device", "deterministic", "checkpoint_every", "skip_unreadable",
              "tensorboard")  # fmt: skip
"""Settings of a run that say little of its network."""

STARTER_DATA = (
    "The photographs are **not part of the project**: their licences are mostly absent or "
    "non-commercial (terms of ImageNet, results of web searches, film stills). The release holds a "
    "network and embeddings, no photograph.",
    "Types were mostly labelled by eye, in one pass by one reader: some are wrong. Replicas and "
    "clones stand with the model they copy. Types whose name begins with `coarse_` say only that "
    "it is a firearm.",
    "Near copies were grouped before, and a group is wholly on one side of every split.",
    "Some types come almost wholly from one source, so that a network can learn the source in "
    "place of the type; therefore whole sources are held out below. Sources descend partly from "
    "one another, and some stretched, turned or cut out their photographs.",
)

OTHER_DATA = (
    "Licences and labels of the photographs are not recorded in the release; whoever made it "
    "should add them here. The release holds a network and embeddings, no photograph.",
    "A group of near copies, where a table named them, is wholly on one side of every split.",
)


def is_starter(inputs: Inputs) -> bool:
    """Return whether a release was made of the starter's photographs, by its held-out sources."""
    recipe = inputs.release.report["recipe"]
    held = (recipe.get("threshold_sources"), recipe.get("test_sources"))
    return held == (list(THRESHOLD_SOURCES), list(TEST_SOURCES))


def details(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on what the release is and how its network was trained."""
    release, spec = inputs.release, inputs.release.spec
    sizes = ", ".join(f"{height} × {width}" for height, width in spec.input.sizes)
    regions = ", ".join(f"side {side} every {stride} cells" for side, stride in spec.regions)
    kinds = release.prototypes.kinds
    firearms = kinds.count("firearm")
    yield "## Model details"
    yield from table(
        ("", ""),
        (
            ("Release", code(release.id)),
            ("Created", release.manifest["created"]),
            ("Code", code(release.manifest["git_commit"] or NONE)),
            ("Data set", code(release.manifest["dataset_digest"] or NONE)),
            ("Network", f"{code(spec.backbone)}, pooling {spec.pooling}"),
            ("Digest of the network", code(release.network_digest)),
            ("Input", f"RGB, {sizes} pixels"),
            ("Regions", regions or "none"),
            ("Dimension of embeddings", release.prototypes.dimension),
            ("Size", f"{_megabytes(inputs):.1f} MB ({_megabytes(inputs, 'weights.safetensors'):.1f}"
             " MB of them weights)"),
            ("Prototypes", f"{firearms} of firearms, {len(kinds) - firearms} of other things"),
            ("Types", f"{len(release.types)} of {_families(inputs)}"),
            ("Rule of scoring", f"{_rule(inputs)}; {_policy(inputs)}"),
        ),
    )  # fmt: skip
    yield (
        "A photograph is embedded, its nearest prototypes are looked up, and the policy makes of "
        "their similarities one of: match, near-miss, look-alike, nothing. It decides about single "
        "photographs only."
    )
    yield "### How it was trained"
    yield from _training(inputs)


def data(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on the photographs."""
    report = inputs.release.report
    sides = {
        "prototypes: firearms": report["prototypes"]["firearms"],
        "prototypes: others": report["prototypes"]["lookalikes"],
        "thresholds": report["threshold_photographs"],
        "test": report["test_photographs"],
    }
    yield "## Data"
    yield from bullets(STARTER_DATA if is_starter(inputs) else OTHER_DATA)
    yield (
        f"Prototypes were chosen from {report['prototypes']['chosen_from']} photographs. "
        f"{report.get('dropped_near_copies', 0)} photographs were dropped as near copies of "
        f"others on another side, and {len(report.get('unreadable', ()))} could not be read. "
        "Photographs of a held-out source were neither learnt from nor made prototypes. Of the "
        "folds below, each learnt from "
        f"{_range([fold['run'].get('photographs') for fold in inputs.folds])} photographs."
    )
    totals = ["**all**", *(side["photographs"] for side in sides.values())]
    for title, key in (("source", "by_source"), ("type or kind", "by_name")):
        yield f"### Photographs by {title}"
        names = sorted({name for side in sides.values() for name in side[key]})
        rows = [[code(name), *(side[key].get(name, 0) for side in sides.values())]
                for name in names]  # fmt: skip
        yield from table((title, *sides), [*rows, totals])


def rebuild(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on how to make the release and this card again."""
    yield "## How to make it again"
    made = "make starter" if is_starter(inputs) else "python -m training release --help"
    yield from (
        "",
        "```sh",
        made,
        "python -m training folds --help",
        "python -m training card RELEASE --folds FOLDS",
        "```",
        "",
        "The recipe stands in `report.json`, the digests of all files in `manifest.json`. The "
        "photographs must be had from their sources. All figures of this card were taken from the "
        "release's report and from the results of the folds by the last command.",
    )


def _training(inputs: Inputs) -> Iterator[str]:
    folds = inputs.folds
    weights = (inputs.release.report.get("weights") or {}).get("name")
    name = code(weights) if weights else "not named, or random"
    if _untuned(inputs):
        yield (
            f"The weights of the release are {name}: a backbone as others trained it, which learnt "
            "nothing of firearms, while the networks of the folds did."
        )
    else:
        yield f"The network of the release is that of a run of training, called {name}."
    stages = sorted({str(fold["run"].get("stage")) for fold in folds})
    devices = sorted({str(fold["run"].get("device")) for fold in folds})
    yield (
        f"The networks of the folds were trained so (stage {', '.join(stages)}; "
        f"{_range([fold['run'].get('photographs') for fold in folds])} photographs, "
        f"{_range([fold['run'].get('seconds') for fold in folds])} seconds on "
        f"{', '.join(devices)}); what is not given of the release is not recorded:"
    )
    yield from table(("setting", "folds", "release"), _settings(inputs))
    yield _compared(inputs)


def _untuned(inputs: Inputs) -> bool:
    """Return whether the network was made for the release, not taken from a run."""
    return "backbone" in inputs.release.report["recipe"]


def _settings(inputs: Inputs) -> Iterator[tuple[str, str, str]]:
    """Yield settings of the folds' runs, all values where they differ, and of the release's."""
    every = [fold["settings"] for fold in inputs.folds]
    # The recipe of the starter is part of the code that makes the release.
    known = is_starter(inputs) and not _untuned(inputs)
    own = tuning(Path()).to_json() if known else {}
    for name in dict.fromkeys(name for settings in every for name in settings):
        if name not in (*OF_FOLD, *OF_MACHINE):
            values = _values([settings.get(name) for settings in every])
            yield code(name), values, _values([own[name]]) if name in own else NONE


def _compared(inputs: Inputs) -> str:
    """Say whether the folds' networks are of the release's kind and data."""
    spec, own = inputs.release.spec, inputs.folds[0]["settings"]
    differing = [
        f"{name} ({released} in the release, {own[name]} in the folds)"
        for name, released in (
            ("backbone", spec.backbone), ("pooling", spec.pooling), ("dimension", spec.dimension),
        )
        if name in own and own[name] != released
    ]  # fmt: skip
    digests = {fold["run"].get("dataset_digest") for fold in inputs.folds}
    if digests != {inputs.release.manifest["dataset_digest"]}:
        differing.append("the data set's digest")
    if not differing:
        return (
            "The release's network is of the same kind, of the same data set with other sources "
            "held out."
        )
    return (
        f"**The folds differ from the release in {', '.join(differing)}**: their figures are those "
        "of the method, not of this network."
    )


def _policy(inputs: Inputs) -> str:
    policy = inputs.release.policy
    regions = "regions are not judged"
    if policy.region_margin is not None:
        regions = f"regions need {policy.region_margin:.3f} more"
    regions += f", parts of a picture {policy.part_margin:.3f} more"
    return (
        f"threshold {policy.threshold:.3f}, {len(policy.thresholds)} types with their own, "
        f"near-miss band {policy.near_miss:.3f}, {policy.neighbours} neighbours; {regions}"
    )


def _megabytes(inputs: Inputs, *names: str) -> float:
    files = names or (*inputs.release.manifest["files"], "manifest.json")
    return sum((inputs.release.path / name).stat().st_size for name in files) / 10**6


def _families(inputs: Inputs) -> str:
    count = len(set(known_families(inputs.release.types).values()))
    return f"{count} families" if count else "families that are not known"


def _values(values: list[Any]) -> str:
    def said(value: Any) -> str:
        listed = isinstance(value, (list, tuple))
        return " ".join(map(str, value)) if listed else str(value)

    return ", ".join(sorted({said(value) for value in values}))


def _range(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "an unknown number of"
    low, high = f"{min(known):.0f}", f"{max(known):.0f}"
    return low if low == high else f"{low} to {high}"


def _rule(inputs: Inputs) -> str:
    """Return how the release scores; figures of folds are of its neighbours alone with a head."""
    head = inputs.release.head
    if inputs.release.policy.head is None or head is None:
        return code(inputs.rule)
    return f"a head of {len(head)} classes, joined with prototypes that are added"
