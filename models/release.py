"""Releases: immutable directories that training writes and the worker reads.

Imports torch only where a network is built. Nothing in a release is ever unpickled; a file whose
digest is off is not opened.
"""

import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from models import manifest as manifests
from models.errors import BadNetwork, BadRelease, ModelError
from models.head import FILE as HEAD
from models.head import TYPES, Head
from models.index import PrototypeIndex
from models.manifest import CACHE, FORMAT, HEAD_FORMAT, REMEDY
from models.policy import Policy
from models.prototypes import Prototypes
from models.selftest import SelfTest
from models.spec import MAX_DIMENSION, NetworkSpec
from models.types import Types

if TYPE_CHECKING:
    import torch

    from models.network import RetrievalNetwork

__all__ = ["FORMAT", "Listed", "Release", "list_releases", "load_release", "write_release"]

logger = logging.getLogger(__name__)

ID_LENGTH = 16
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Release:
    """A release that was read and verified.

    ``id`` is the first 16 hex of the SHA-256 of ``manifest.json``; ``network_digest`` names the
    network: embeddings of the same digest can be compared. ``head`` is None of releases without.
    """

    id: str
    path: Path
    manifest: Mapping[str, Any]
    spec: NetworkSpec
    network_digest: str
    prototypes: Prototypes
    index: PrototypeIndex
    types: Types
    policy: Policy
    report: Mapping[str, Any]
    selftest: SelfTest
    head: Head | None = None

    @property
    def rows_digest(self) -> str:
        """Names what is kept of a picture: that of the network, or of network and head."""
        if self.head is None:
            return self.network_digest
        both = f"{self.network_digest} {self.head.digest}".encode()
        return f"sha256:{hashlib.sha256(both).hexdigest()}"

    @property
    def classes(self) -> int:
        """Logits of a row beside its embedding; 0 without a head."""
        return 0 if self.head is None else len(self.head)

    @property
    def digest(self) -> str:
        """The hex SHA-256 of ``manifest.json``, which ``id`` begins."""
        return hashlib.sha256(manifests.encode(self.manifest)).hexdigest()

    def load_network(
        self, device: "str | torch.device" = "cpu", *, fold: bool = True
    ) -> "RetrievalNetwork":
        """Build the network on a device, in evaluation mode, and run the self-test there.

        Args:
            device: See ``models.device.resolve_device``.
            fold: Make it fast for evaluation; without, it can be trained and released again.

        Raises:
            BadRelease: The weights do not fit, or the self-test fails.
            BadNetwork: The device cannot be used, or the backbone's package is not installed.
        """
        from models.device import resolve_device
        from models.serving import for_serving

        target = resolve_device(str(device))
        network = _network(self.path, self.spec, self.manifest["files"][manifests.WEIGHTS])
        network = (for_serving(network) if fold else network).to(target)
        try:
            if self.head is not None:
                network.classify(self.head)
            self.selftest.check(network, target.type, "float32")
        except (BadRelease, BadNetwork) as error:
            raise BadRelease(f"release {self.id} ({self.path}): {error}") from None
        return network


@dataclass(frozen=True)
class Listed:
    """A release in a folder of them, by its manifest only; ``fault`` says why it is none."""

    path: Path | str
    id: str
    created: str
    network_digest: str
    manifest: Mapping[str, Any]
    fault: str | None = None


def listed(path: Path | str, raw: bytes) -> Listed:
    """Describe a release by the bytes of its manifest.

    Args:
        path: Where it lies: a directory, or a URL as people are told it.
        raw: Contents of its ``manifest.json``.
    """
    try:
        manifest = manifests.decode(f"{path}/{manifests.NAME}", raw)
    except BadRelease as error:
        return Listed(path, "", "", "", {}, fault=str(error))
    its_id = hashlib.sha256(raw).hexdigest()[:ID_LENGTH]
    created = str(manifest.get("created") or "")
    return Listed(path, its_id, created, manifest["network_digest"], manifest)


def oldest_first(found: Iterable[Listed]) -> list[Listed]:
    """Return releases in the order in which they are listed."""
    return sorted(found, key=lambda listed: (listed.created, listed.id, str(listed.path)))


def load_release(path: Path) -> Release:
    """Read a release and verify all of it but the network's results.

    An index file that is absent or damaged is no error: the index is then built from the
    prototypes, which takes some seconds for many thousands. Before hnswlib reads one that is
    there, every figure in it that leads to memory is checked, whoever sealed the release.

    Args:
        path: The directory that holds ``manifest.json``.

    Raises:
        BadRelease: It is not there, damaged, or of a format that is not known, or its parts do
            not fit each other; one line.
    """
    path = Path(path)
    manifest = manifests.read(path)
    its_id = _id(path, manifest)
    files = manifests.verify(path, manifest)
    spec = _read(path / "network.json", files, NetworkSpec.from_json)
    prototypes = Prototypes.load(path / "prototypes.npz", files["prototypes.npz"])
    selftest = SelfTest.load(path / "selftest.npz", files["selftest.npz"])
    if prototypes.dimension != selftest.dimension:
        raise BadRelease(
            f"{path / 'prototypes.npz'} has {prototypes.dimension} dimensions but the network "
            f"gives {selftest.dimension}; they are of different releases; {REMEDY}"
        )
    policy = _read(path / "policy.json", files, Policy.from_json)
    _check_regions(path, spec, selftest, policy)
    types = _read(path / TYPES, files, Types.from_json)
    head = _head(path, manifest, files, types)
    _check_head(path, head, selftest, policy)
    return Release(
        id=its_id,
        path=path,
        manifest=manifest,
        spec=spec,
        network_digest=manifest["network_digest"],
        prototypes=prototypes,
        index=_index(path, prototypes, manifest, files.get(CACHE)),
        types=types,
        policy=policy,
        report=_read(path / "report.json", files, lambda raw: raw),
        selftest=selftest,
        head=head,
    )


def write_release(
    out: Path,
    *,
    network: "RetrievalNetwork",
    prototypes: Prototypes,
    types: Types,
    policy: Policy,
    report: Mapping[str, Any],
    created: str,
    git_commit: str | None,
    dataset_digest: str | None,
    half_weights: bool = False,
    head: Head | None = None,
) -> Release:
    """Write a release into the directory ``out`` and read it back.

    It is written beside and then renamed: a release is there whole or not at all. The same
    arguments give the same bytes and so the same id. Prototypes are stored in float16, so the
    index is that of the rounded ones.

    Args:
        out: The release's own directory; it must not exist, or be empty.
        network: Not folded for serving; on any device.
        prototypes: Embeddings that this network gave.
        types: Of the firearms among the prototypes.
        policy: Thresholds.
        report: Evaluation; any JSON.
        created: Time in ISO 8601.
        git_commit: Of the code that made it; None where it is not known.
        dataset_digest: Of the data it was made from; None where it is not known.
        half_weights: Store matrices and filters in float16, at half the size. The network that
            serves is then the rounded one, so it must also have been the one that embedded the
            prototypes (see ``models.network.round_weights``).
        head: Of this network's features; None: the release has none.

    Raises:
        BadRelease: ``out`` is in the way, or the parts do not fit each other.
        BadNetwork: The network cannot be written.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BadRelease(f"{out} exists already; give a folder that does not, or an empty one")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, value in (("types", types), ("policy", policy)):
            (folder / f"{name}.json").write_bytes(manifests.canonical(value.to_json()))
        if head is not None:
            head.save(folder)
        _write_network(folder, network, head, half=half_weights)
        _write_prototypes(folder, prototypes)
        (folder / "report.json").write_bytes(_report(report))
        _write_manifest(folder, created, git_commit, dataset_digest, head)
        _check_name(out, load_release(folder).id)
        folder.chmod(0o755)
        folder.replace(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return load_release(out)


def list_releases(folder: Path) -> list[Listed]:
    """List the releases in a folder, oldest first, by their manifests only.

    Args:
        folder: Of releases, or a release itself.

    Raises:
        BadRelease: The folder cannot be read.
    """
    try:
        places = sorted(place for place in folder.iterdir() if place.is_dir())
    except OSError as error:
        raise BadRelease(f"{folder}: {error.strerror}; give a folder of releases") from None
    places = [folder, *(place for place in places if not place.name.startswith("."))]
    return oldest_first(_listed(place) for place in places if _may_be_one(place))


def _may_be_one(path: Path) -> bool:
    """Whether a folder holds a manifest, or nobody is let at it: reading that says why."""
    try:
        return (path / manifests.NAME).exists()
    except OSError:
        return True


def _listed(path: Path) -> Listed:
    try:
        manifest = manifests.read(path)
        its_id = _id(path, manifest)
    except BadRelease as error:
        return Listed(path, "", "", "", {}, fault=str(error))
    created = str(manifest.get("created") or "")
    return Listed(path, its_id, created, manifest["network_digest"], manifest)


def _check_regions(path: Path, spec: NetworkSpec, selftest: SelfTest, policy: Policy) -> None:
    """Refuse a policy that judges what the network does not give, and regions not tested."""
    if policy.region_margin is not None and not spec.regions:
        raise BadRelease(
            f"{path / 'policy.json'} judges regions but network.json has none; {REMEDY}"
        )
    if bool(spec.regions) != bool(selftest.regions):
        raise BadRelease(
            f"{path / 'selftest.npz'} and network.json differ in having regions; {REMEDY}"
        )


def _head(
    path: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes], types: Types
) -> Head | None:
    """Read the head, if there is one; refuse one that is not the manifest's or names no type."""
    head = Head.load(path, files) if HEAD in files else None
    said = None if head is None else head.digest
    if said != manifest.get("head_digest"):
        raise BadRelease(f"{path / manifests.NAME} names another head than {HEAD}; {REMEDY}")
    if manifest["format"] != (FORMAT if head is None else HEAD_FORMAT):
        raise BadRelease(f"{path / manifests.NAME} is of the wrong format for {HEAD}; {REMEDY}")
    known = frozenset(types.names)
    for each in head.classes if head else ():
        if each.kind == "firearm" and each.name not in known:
            raise BadRelease(
                f"{path / HEAD} has the class {each.name!r}, which {TYPES} does not know; {REMEDY}"
            )
    return head


def _check_head(path: Path, head: Head | None, selftest: SelfTest, policy: Policy) -> None:
    """Refuse a policy that judges by a head that is not there, and logits not tested."""
    classes = 0 if head is None else len(head)
    if policy.head is not None and head is None:
        raise BadRelease(f"{path / 'policy.json'} judges by a head but there is none; {REMEDY}")
    if selftest.classes != classes:
        raise BadRelease(
            f"{path / 'selftest.npz'} has {selftest.classes} logits but the head has {classes}; "
            f"{REMEDY}"
        )
    if selftest.dimension + classes > MAX_DIMENSION:
        raise BadRelease(
            f"{path / HEAD} has {classes} classes, too many beside {selftest.dimension} dimensions "
            f"of {MAX_DIMENSION} numbers at most; {REMEDY}"
        )


def _id(path: Path, manifest: Mapping[str, Any]) -> str:
    its_id = hashlib.sha256(manifests.encode(manifest)).hexdigest()[:ID_LENGTH]
    _check_name(path, its_id)
    return its_id


def _check_name(path: Path, its_id: str) -> None:
    """Refuse a directory that bears the id of another release; other names are free."""
    named = path.resolve().name
    if re.fullmatch(rf"[0-9a-f]{{{ID_LENGTH}}}", named) and named != its_id:
        raise BadRelease(f"{path} is named after another release than {its_id}; {REMEDY}")


def _read(path: Path, files: Mapping[str, bytes], read: Callable[[dict[str, Any]], T]) -> T:
    try:
        return read(manifests.parse(path, files[path.name]))
    except BadRelease as error:
        known = str(path) in str(error)
        raise BadRelease(str(error) if known else f"{path}: {error}; {REMEDY}") from None
    except ModelError as error:
        raise BadRelease(f"{path}: {error}; {REMEDY}") from None


def _index(
    path: Path, prototypes: Prototypes, manifest: Mapping[str, Any], raw: bytes | None
) -> PrototypeIndex:
    if len(prototypes) < PrototypeIndex.EXACT_BELOW and CACHE not in manifest["files"]:
        return PrototypeIndex.build(prototypes)
    if raw is not None:
        with tempfile.NamedTemporaryFile(prefix="moderator-index-") as own:
            # A file that nobody else writes: hnswlib reads no bytes, and what it reads is trusted.
            own.write(raw)
            own.flush()
            try:
                return PrototypeIndex.load(Path(own.name), prototypes)
            except BadRelease as error:
                raise BadRelease(str(error).replace(own.name, str(path / CACHE))) from None
    logger.warning(
        "%s is absent or damaged; building the index of %d prototypes anew",
        path / CACHE,
        len(prototypes),
    )
    return PrototypeIndex.build(prototypes)


def _network(path: Path, spec: NetworkSpec, digest: str | None) -> "RetrievalNetwork":
    """Return a release's network on the CPU, in evaluation mode; ``digest`` is its weights'."""
    from models.network import RetrievalNetwork
    from models.weights import read_tensors

    network = RetrievalNetwork(spec)
    file = path / manifests.WEIGHTS
    try:
        network.load_state_dict(read_tensors(file, digest))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise BadRelease(f"{file} does not fit network.json ({reason}); {REMEDY}") from None
    except BadNetwork as error:
        raise BadRelease(str(error)) from None
    return network.eval()


def _write_network(
    folder: Path, network: "RetrievalNetwork", head: Head | None, *, half: bool
) -> None:
    from safetensors.torch import save

    from models.network import released_tensors

    tensors = released_tensors(network, half=half)
    (folder / "network.json").write_bytes(manifests.canonical(network.spec.to_json()))
    (folder / manifests.WEIGHTS).write_bytes(save(tensors))
    try:
        again = _network(folder, network.spec, None)
    except BadRelease:
        raise BadNetwork(
            "the network's tensors are not those of its description; one that was made for "
            "serving cannot be written: load it with fold=False"
        ) from None
    if head is not None:
        again.classify(head)
    regions = bool(network.spec.regions)
    test = SelfTest.record(again, network.spec.input, regions=regions, logits=head is not None)
    test.save(folder / "selftest.npz")


def _write_prototypes(folder: Path, prototypes: Prototypes) -> None:
    prototypes.save(folder / "prototypes.npz")
    if len(prototypes) >= PrototypeIndex.EXACT_BELOW:
        rounded = Prototypes.load(folder / "prototypes.npz")
        PrototypeIndex.build(rounded).save(folder / CACHE)


def _report(report: Mapping[str, Any]) -> bytes:
    try:
        return manifests.canonical(dict(report))
    except (TypeError, ValueError) as error:
        raise BadRelease(f"the report cannot be written as JSON ({error})") from None


def _write_manifest(
    folder: Path,
    created: str,
    git_commit: str | None,
    dataset_digest: str | None,
    head: Head | None,
) -> None:
    files = {file.name: manifests.digest(file) for file in sorted(folder.iterdir())}
    manifest = {
        "format": FORMAT if head is None else HEAD_FORMAT,
        "created": created,
        "git_commit": git_commit,
        "dataset_digest": dataset_digest,
        "network_digest": manifests.network_digest(folder),
        **({} if head is None else {"head_digest": head.digest}),
        "files": files,
    }
    (folder / manifests.NAME).write_bytes(manifests.encode(manifest))
