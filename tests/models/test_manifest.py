import hashlib
import json

import pytest

from models import manifest
from models.errors import BadRelease

FIELDS = {
    "format": manifest.FORMAT,
    "created": "2026-01-01",
    "network_digest": "sha256:0",
    "files": dict.fromkeys(manifest.REQUIRED, "0"),
}


def test_it_is_read_as_it_was_written(tmp_path) -> None:
    (tmp_path / manifest.NAME).write_bytes(manifest.encode(FIELDS))
    found = manifest.read(tmp_path)
    assert {name: value for name, value in found.items() if name != "checksum"} == FIELDS
    assert manifest.encode(found) == manifest.encode(FIELDS)


def test_every_changed_byte_is_found(tmp_path) -> None:
    raw = manifest.encode({**FIELDS, "files": {**FIELDS["files"]}})
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        (tmp_path / manifest.NAME).write_bytes(changed)
        with pytest.raises(BadRelease) as caught:
            manifest.read(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 3}, "format 3 but this version reads 1 and 2"),
        ({"format": None}, "format None"),
        ({"files": []}, "lacks its files"),
        ({"network_digest": 3}, "lacks"),
        ({"files": {"../outside": "0"}}, "not a file of a release"),
        ({"files": {"/etc/hosts": "0"}}, "not a file of a release"),
        ({"files": {"policy.json\0": "0"}}, "not a file of a release"),
        ({"files": {"policy\n.json": "0"}}, "not a file of a release"),
        ({"files": {"policy.json": 3}}, "not a file of a release"),
        ({"files": {"policy.json": "0"}}, r"does not list network\.json"),
    ],
)
def test_a_manifest_that_does_not_fit_is_one_line(tmp_path, changes, said) -> None:
    (tmp_path / manifest.NAME).write_bytes(manifest.encode({**FIELDS, **changes}))
    with pytest.raises(BadRelease, match=said) as caught:
        manifest.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}',
     b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_is_no_manifest_is_one_line(tmp_path, raw) -> None:
    (tmp_path / manifest.NAME).write_bytes(raw)
    with pytest.raises(BadRelease, match=manifest.NAME) as caught:
        manifest.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_digests_are_those_of_the_files_one_after_another(tmp_path) -> None:
    (tmp_path / "network.json").write_bytes(b"a" * 3_000_000)
    (tmp_path / "weights.safetensors").write_bytes(b"b")
    expected = hashlib.sha256(b"a" * 3_000_000 + b"b").hexdigest()
    assert manifest.network_digest(tmp_path) == f"sha256:{expected}"
    assert manifest.digest(tmp_path / "weights.safetensors") == hashlib.sha256(b"b").hexdigest()


def test_json_has_one_form_and_no_numbers_that_are_none() -> None:
    assert manifest.canonical({"b": 1, "a": "ü"}) == '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()
    assert json.loads(manifest.canonical({"b": 1})) == {"b": 1}
    with pytest.raises(ValueError, match="JSON compliant"):
        manifest.canonical({"a": float("nan")})
