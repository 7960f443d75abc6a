import hashlib
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from models import manifest as manifests
from models.errors import BadNetwork, BadRelease
from models.head import Head, HeadClass
from models.index import PrototypeIndex
from models.manifest import CACHE, REQUIRED
from models.network import round_weights
from models.policy import HeadRule, Kernel, Policy
from models.prototypes import Prototypes
from models.release import Release, list_releases, load_release
from models.selftest import SelfTest
from models.spec import InputSpec
from tests.models.samples import SPEC, directions, head, network, pixels, prototypes, written

LARGE = 2100


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Release:
    return written(tmp_path_factory.mktemp("releases") / "small")


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Release:
    return written(
        tmp_path_factory.mktemp("releases") / "large", prototypes=prototypes(directions(LARGE, 16))
    )


@pytest.fixture
def copy(small, tmp_path) -> Path:
    return Path(shutil.copytree(small.path, tmp_path / "copy"))


def resealed(folder: Path, **changes: object) -> None:
    """Write a manifest whose digests are right again after a file was changed."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"] = {
        file.name: manifests.digest(file)
        for file in folder.iterdir()
        if file.name != "manifest.json"
    }
    manifest["network_digest"] = manifests.network_digest(folder)
    (folder / "manifest.json").write_bytes(manifests.encode({**manifest, **changes}))


def refused(folder: Path, said: str) -> None:
    with pytest.raises(BadRelease, match=said) as caught:
        load_release(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_release_comes_back_as_it_was_written(small) -> None:
    again = load_release(small.path)
    assert again.id == hashlib.sha256((small.path / "manifest.json").read_bytes()).hexdigest()[:16]
    assert (again.spec, again.policy) == (SPEC, Policy(0.6, {"type1": 0.7}))
    assert again.types.display_name("type3") == "Type 3"
    assert again.report == {"mAP": 0.5}
    assert (again.manifest["git_commit"], again.manifest["dataset_digest"]) == ("abc", None)
    assert again.prototypes.ids == prototypes(directions(20, 16)).ids
    assert np.allclose(again.prototypes.embeddings, directions(20, 16), atol=1e-3)
    assert (len(again.index), again.index.exact) == (20, True)
    assert again.network_digest.startswith("sha256:")


def test_its_files_are_those_of_the_design(small, large) -> None:
    assert {file.name for file in small.path.iterdir()} == {"manifest.json", *REQUIRED}
    assert {file.name for file in large.path.iterdir()} == {"manifest.json", CACHE, *REQUIRED}
    assert set(large.manifest["files"]) == {CACHE, *REQUIRED}
    for name, digest in large.manifest["files"].items():
        assert hashlib.sha256((large.path / name).read_bytes()).hexdigest() == digest
    assert large.path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("fold", [True, False])
def test_its_network_gives_what_the_one_given_did(small, fold) -> None:
    loaded = small.load_network("cpu", fold=fold)
    assert not loaded.training
    assert np.abs(loaded.embed(pixels(4)) - network().embed(pixels(4))).max() < 1e-5


def test_the_same_parts_give_the_same_id_and_others_another(small, tmp_path) -> None:
    assert written(tmp_path / "same").id == small.id
    others = {
        "created": "2027-01-01",
        "policy": Policy(0.61),
        "report": {},
        "network": network(seed=1),
        "prototypes": prototypes(directions(20, 16, 1)),
        "git_commit": None,
    }
    ids = {written(tmp_path / name, **{name: value}).id for name, value in others.items()}
    assert len(ids | {small.id}) == len(others) + 1


def test_the_networks_digest_names_the_network_only(small, tmp_path) -> None:
    assert written(tmp_path / "a", policy=Policy(0.1)).network_digest == small.network_digest
    for number, other in enumerate((network(seed=1), network(replace(SPEC, gem_power=2.0)))):
        assert written(tmp_path / str(number), network=other).network_digest != small.network_digest


def test_a_network_that_was_loaded_unfolded_can_be_released_again(small, tmp_path) -> None:
    again = written(tmp_path / "a", network=small.load_network(fold=False))
    assert again.id == small.id


def test_a_network_that_was_folded_cannot_be_written(tmp_path) -> None:
    release = written(tmp_path / "a", network=network(replace(SPEC, backbone="resnet18")))
    with pytest.raises(BadNetwork, match="fold=False"):
        written(tmp_path / "b", network=release.load_network())
    assert [place.name for place in tmp_path.iterdir()] == ["a"]


def test_half_weights_take_half_the_room_and_serve_the_rounded_network(small, tmp_path) -> None:
    net = network()
    round_weights(net)
    half = written(tmp_path / "half", network=net, half_weights=True)
    sizes = [(r.path / "weights.safetensors").stat().st_size for r in (half, small)]
    assert sizes[0] < 0.55 * sizes[1]
    assert np.abs(half.load_network().embed(pixels(4)) - net.embed(pixels(4))).max() < 1e-5


@pytest.mark.parametrize("name", REQUIRED)
def test_an_absent_file_is_named(copy, name) -> None:
    (copy / name).unlink()
    refused(copy, name)


@pytest.mark.parametrize("name", ["manifest.json", *REQUIRED])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.999])
def test_a_flipped_byte_is_found(copy, name, where) -> None:
    raw = bytearray((copy / name).read_bytes())
    raw[int(len(raw) * where)] ^= 0x04
    (copy / name).write_bytes(raw)
    refused(copy, name)


@pytest.mark.parametrize("name", ["manifest.json", *REQUIRED])
def test_a_file_cut_short_is_found(copy, name) -> None:
    raw = (copy / name).read_bytes()
    (copy / name).write_bytes(raw[: len(raw) // 2])
    refused(copy, name)


def test_what_is_no_release_is_one_line(tmp_path) -> None:
    refused(tmp_path, "not a release")
    refused(tmp_path / "absent", "not a release")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "not a release")


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("policy.json", b"{}"),
        ("policy.json", b"[]"),
        ("policy.json", b'{"threshold": NaN}'),
        ("types.json", b'{"types": {"\\ud800": {"family": "a", "display_name": "b"}}}'),
        ("network.json", b'{"dimension": Infinity}'),
        ("types.json", b'{"types": {"a": 3}}'),
        ("network.json", b"{}"),
        ("report.json", b"3"),
        ("prototypes.npz", b"junk"),
        ("selftest.npz", b"junk"),
    ],
)
def test_a_file_that_is_wrong_though_its_digest_is_right_is_named(copy, name, raw) -> None:
    (copy / name).write_bytes(raw)
    resealed(copy)
    refused(copy, name)


def test_prototypes_of_another_dimension_are_refused(copy) -> None:
    prototypes(directions(20, 15)).save(copy / "prototypes.npz")
    resealed(copy)
    refused(copy, "15 dimensions but the network gives 16")


def test_another_networks_digest_is_refused(copy) -> None:
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["network_digest"] = "sha256:" + "0" * 64
    (copy / "manifest.json").write_bytes(manifests.encode(manifest))
    refused(copy, "another network")


def test_other_weights_fail_the_self_test(copy) -> None:
    tensors = load_file(copy / "weights.safetensors")
    tensors["head.bias"] += 1.0
    save_file(tensors, copy / "weights.safetensors")
    resealed(copy)
    release = load_release(copy)
    with pytest.raises(BadRelease, match="self-test on cpu/float32 failed") as caught:
        release.load_network()
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_description_are_refused(copy) -> None:
    tensors = load_file(copy / "weights.safetensors")
    del tensors["head.bias"]
    save_file(tensors, copy / "weights.safetensors")
    resealed(copy)
    with pytest.raises(BadRelease, match=r"does not fit network\.json") as caught:
        load_release(copy).load_network()
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there_is_refused(small) -> None:
    with pytest.raises(BadNetwork, match="cuda:77"):
        small.load_network("cuda:77")


def test_other_files_beside_do_not_matter(copy, small) -> None:
    (copy / "README.md").write_text("what this is")
    assert load_release(copy).id == small.id


def test_a_directory_named_after_another_release_is_refused(small, tmp_path) -> None:
    shutil.copytree(small.path, tmp_path / small.id)
    assert load_release(tmp_path / small.id).id == small.id
    shutil.copytree(small.path, tmp_path / ("0" * 16))
    refused(tmp_path / ("0" * 16), "named after another release")


def test_a_graph_is_read_from_its_file(large, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        release = load_release(large.path)
    assert not caplog.records
    assert (len(release.index), release.index.exact) == (LARGE, False)
    rows = directions(20, 16, 4)
    fresh = PrototypeIndex.build(release.prototypes)
    for one, other in zip(release.index.query(rows, 5), fresh.query(rows, 5), strict=True):
        assert one.ids == other.ids


@pytest.mark.parametrize("how", ["absent", "flipped", "cut"])
def test_a_damaged_index_is_built_anew_with_a_warning(large, tmp_path, caplog, how) -> None:
    folder = Path(shutil.copytree(large.path, tmp_path / "copy"))
    raw = bytearray((folder / CACHE).read_bytes())
    (folder / CACHE).unlink()
    if how != "absent":
        raw[100] ^= 1
        (folder / CACHE).write_bytes(raw if how == "flipped" else raw[:999])
    with caplog.at_level(logging.WARNING):
        release = load_release(folder)
    assert CACHE in caplog.text
    rows = directions(20, 16, 4)
    for one, other in zip(release.index.query(rows, 5), large.index.query(rows, 5), strict=True):
        assert one.ids == other.ids
    assert release.id == large.id


@pytest.mark.parametrize("rows", [directions(LARGE, 8), directions(LARGE + 1, 16)])
def test_an_index_of_other_prototypes_is_refused(large, tmp_path, rows) -> None:
    folder = Path(shutil.copytree(large.path, tmp_path / "copy"))
    PrototypeIndex.build(prototypes(rows)).save(folder / CACHE)
    resealed(folder)
    refused(folder, CACHE)


def test_nothing_is_written_over_or_left_behind(small, tmp_path) -> None:
    with pytest.raises(BadRelease, match="exists already"):
        written(small.path)
    (tmp_path / "file").touch()
    with pytest.raises(BadRelease, match="exists already"):
        written(tmp_path / "file")
    for bad in ({"report": {"a": float("nan")}}, {"prototypes": prototypes(directions(4, 15))},
                {"report": {"a": object()}}):  # fmt: skip
        with pytest.raises(BadRelease):
            written(tmp_path / "out", **bad)
    with pytest.raises(BadRelease, match="named after another"):
        written(tmp_path / ("0" * 16))
    assert [place.name for place in tmp_path.iterdir()] == ["file"]


def test_an_empty_folder_and_missing_parents_are_taken(small, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert written(tmp_path / "empty").id == small.id
    assert written(tmp_path / "a" / "b" / "c").path == tmp_path / "a" / "b" / "c"


def test_a_release_without_prototypes_or_head_works(tmp_path) -> None:
    spec = replace(SPEC, dimension=None, input=InputSpec(((64, 64),)))
    none = Prototypes(np.zeros((0, 512), np.float32), (), (), ())
    release = written(tmp_path / "r", network=network(spec), prototypes=none)
    assert [n.ids for n in release.index.query(release.load_network().embed(pixels(2)), 3)] == [
        (),
        (),
    ]


def test_a_release_whose_policy_judges_regions_comes_back_with_them(tmp_path) -> None:
    net = network(replace(SPEC, regions=((2, 1),)))
    policy = Policy(0.1, temperature=0.05, least_similarity=0.2, region_margin=0.1)
    release = written(tmp_path / "regional", network=net, policy=policy)
    assert release.spec.regions == ((2, 1),)
    assert release.policy == policy
    assert [len(rows) for rows in release.selftest.regions] == [
        net.region_count(*size) for size in SPEC.input.sizes
    ]
    images = pixels(2)
    for fold in (True, False):
        found = release.load_network(fold=fold).describe_pixels(images)
        assert np.abs(found - net.describe_pixels(images)).max() < 1e-5


def test_regions_that_are_judged_but_not_there_or_not_tested_are_refused(copy, tmp_path) -> None:
    with pytest.raises(BadRelease, match="judges regions but"):
        written(tmp_path / "none", policy=Policy(0.6, region_margin=0.1))
    raw = json.loads((copy / "network.json").read_bytes())
    (copy / "network.json").write_bytes(manifests.canonical({**raw, "regions": [[2, 1]]}))
    resealed(copy)
    refused(copy, "differ in having regions")


def test_releases_are_listed_oldest_first_with_their_faults(small, tmp_path) -> None:
    later = written(tmp_path / "a-later", created="2027-01-01")
    shutil.copytree(small.path, tmp_path / "b-earlier")
    broken = Path(shutil.copytree(small.path, tmp_path / "c-broken"))
    (broken / "manifest.json").write_bytes(b"{")
    (tmp_path / "no-release").mkdir()
    found = list_releases(tmp_path)
    assert [listed.path.name for listed in found] == ["c-broken", "b-earlier", "a-later"]
    assert [listed.id for listed in found] == ["", small.id, later.id]
    assert found[0].fault is not None
    assert (found[1].fault, found[1].network_digest) == (None, small.network_digest)
    assert [listed.id for listed in list_releases(small.path)] == [small.id]
    with pytest.raises(BadRelease, match="absent"):
        list_releases(tmp_path / "absent")


def test_reading_a_release_does_not_import_torch(small) -> None:
    code = (
        "import sys; from pathlib import Path; from models.release import load_release, "
        "list_releases; load_release(Path(sys.argv[1])); list_releases(Path(sys.argv[1])); "
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(small.path)], cwd=root, check=True)


def test_a_folder_that_cannot_be_looked_into_is_a_fault_in_the_list(small, tmp_path) -> None:
    # The name of its manifest is longer than the system lets any name be.
    folder, most = tmp_path, 4090
    while most - len(str(folder)) > 256:
        folder /= "d" * 200
    deep = folder / ("r" * (most - len(str(folder)) - 1))
    deep.mkdir(parents=True)
    shutil.copytree(small.path, folder / "s")
    try:
        found = {listed.path.name[0]: listed for listed in list_releases(folder)}
    finally:
        shutil.rmtree(tmp_path / ("d" * 200))
    assert found["s"].fault is None
    assert "File name too long" in (found["r"].fault or "")


@pytest.mark.parametrize("name", ["policy.json", "prototypes.npz", CACHE])
def test_a_file_that_changes_after_it_was_verified_is_not_what_is_used(
    large, tmp_path, monkeypatch, name
) -> None:
    copy = shutil.copytree(large.path, tmp_path / "copy")
    verify = manifests.verify

    def verified_then_changed(folder, manifest):
        found = verify(folder, manifest)
        (folder / name).write_bytes(b"changed")
        return found

    monkeypatch.setattr(manifests, "verify", verified_then_changed)
    release = load_release(copy)
    assert release.policy == large.policy
    row = large.prototypes.embeddings[:1]
    assert release.index.query(row, 5)[0].ids == large.index.query(row, 5)[0].ids


def test_weights_that_change_after_they_were_verified_are_refused(small, tmp_path) -> None:
    release = load_release(shutil.copytree(small.path, tmp_path / "copy"))
    weights = release.path / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(BadRelease, match=r"weights\.safetensors is damaged"):
        release.load_network()


def test_its_digest_begins_with_its_id(small) -> None:
    raw = (small.path / "manifest.json").read_bytes()
    assert small.digest == hashlib.sha256(raw).hexdigest()
    assert small.digest.startswith(small.id)


# --- with a head


RULED = Policy(3.0, head=HeadRule(1.0, Kernel(40.0, 20.0)))


@pytest.fixture(scope="module")
def headed(tmp_path_factory) -> Release:
    folder = tmp_path_factory.mktemp("releases") / "headed"
    return written(folder, head=head(), policy=RULED)


@pytest.fixture
def headed_copy(headed, tmp_path) -> Path:
    return Path(shutil.copytree(headed.path, tmp_path / "headed"))


def test_a_head_comes_back_and_its_network_is_the_same(headed, small) -> None:
    again = load_release(headed.path)
    assert {file.name for file in headed.path.iterdir()} == {
        "manifest.json", "head.safetensors", *REQUIRED,
    }  # fmt: skip
    assert (again.policy, again.classes, small.classes) == (RULED, 4, 0)
    assert again.head.classes == head().classes
    assert np.array_equal(again.head.weight, head().weight)
    # Embeddings compare, so that prototypes and the overlay of the one apply to the other.
    assert headed.network_digest == small.network_digest
    assert small.rows_digest == small.network_digest != headed.rows_digest
    assert headed.manifest["head_digest"] == head().digest


def test_the_digest_of_rows_names_network_and_head(headed, tmp_path) -> None:
    other = written(tmp_path / "head", head=head(seed=1), policy=RULED)
    another = written(tmp_path / "net", head=head(), policy=RULED, network=network(seed=1))
    assert len({each.rows_digest for each in (headed, other, another)}) == 3
    # The policy is none of what rows are made of.
    assert written(tmp_path / "policy", head=head()).rows_digest == headed.rows_digest


@pytest.mark.parametrize("fold", [True, False])
def test_its_network_gives_the_logits_of_the_head(headed, fold) -> None:
    loaded, net = headed.load_network(fold=fold), network()
    net.classify(head())
    found, expected = (each.describe_rows(pixels(4)) for each in (loaded, net))
    assert found.shape == (4, 1, 16 + 4)
    assert np.abs(found - expected).max() < 1e-4


def test_a_network_that_was_loaded_with_its_head_can_be_released_without(headed, small, tmp_path):
    again = written(tmp_path / "a", network=headed.load_network(fold=False))
    assert again.id == small.id


def test_a_head_of_other_features_is_not_written(tmp_path) -> None:
    with pytest.raises(BadRelease, match="reads 300 channels but the trunk gives 512"):
        written(tmp_path / "a", head=head(300), policy=RULED)
    assert not list(tmp_path.iterdir())


def test_a_head_of_other_features_is_found_when_the_network_is_loaded(headed_copy) -> None:
    swapped(headed_copy, head(300))
    with pytest.raises(BadRelease, match="reads 300 channels but the trunk gives 512") as caught:
        load_release(headed_copy).load_network()
    assert "\n" not in str(caught.value)


def test_a_head_that_gives_something_else_fails_the_self_test(headed_copy) -> None:
    swapped(headed_copy, head(seed=1))
    with pytest.raises(BadRelease, match="self-test on cpu/float32 failed"):
        load_release(headed_copy).load_network()


def test_what_reads_releases_without_a_head_only_refuses_one(headed) -> None:
    assert headed.manifest["format"] == 2


def swapped(folder: Path, other: Head) -> None:
    """Put another head in the place of one, all digests right."""
    other.save(folder)
    resealed(folder, head_digest=other.digest)


def renamed(name: str) -> Head:
    return replace(head(), classes=(HeadClass(name, "firearm"), *head().classes[1:]))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "head.safetensors").unlink(), "another head"),
        (lambda folder: head(seed=1).save(folder), "another head"),
        (lambda folder: renamed("type3").save(folder), "another head"),
        (lambda folder: swapped(folder, renamed("bazooka")), "'bazooka', which types.json"),
        (lambda folder: (folder / "types.json").write_bytes(b'{"types": {}}'), "not a head"),
        (
            lambda folder: SelfTest.record(network(), SPEC.input).save(folder / "selftest.npz"),
            "has 0 logits but the head has 4",
        ),
    ],
)
def test_a_head_that_does_not_fit_its_release_is_one_line(headed_copy, damage, said) -> None:
    damage(headed_copy)
    resealed(headed_copy)
    refused(headed_copy, said)


def test_a_format_or_a_policy_that_needs_a_head_needs_one(headed_copy, copy) -> None:
    resealed(headed_copy, format=1)
    refused(headed_copy, "wrong format")
    (copy / "policy.json").write_bytes((headed_copy / "policy.json").read_bytes())
    resealed(copy)
    refused(copy, "judges by a head but there is none")


@pytest.mark.parametrize("where", [0.0, 0.3, 0.999])
def test_a_flipped_byte_of_a_head_is_found(headed_copy, where) -> None:
    raw = bytearray((headed_copy / "head.safetensors").read_bytes())
    raw[int(len(raw) * where)] ^= 0x04
    (headed_copy / "head.safetensors").write_bytes(raw)
    refused(headed_copy, "damaged")
