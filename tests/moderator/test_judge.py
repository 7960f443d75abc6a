"""``moderator decide``: files to decisions by the real decoders, network and index."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from moderator.demo.drawings import draw, names
from moderator.errors import BadSettings
from moderator.judge import decide_files, expanded, run_decide
from moderator.settings import Settings, load_settings


@pytest.fixture
def settings(tiny_release) -> Settings:
    return load_settings(
        {"release": str(tiny_release.path), "decode_processes": "2", "max_post_bytes": "100000"},
        environ={},
    )


@pytest.fixture
def files(tmp_path, drawn) -> dict[str, Path]:
    """One file of everything, by what it is."""
    contents = {
        "firearm": drawn("revolver"),
        "lookalike": drawn("umbrella"),
        "harmless": drawn("cat", 3, "posted"),
        "text": b"not an image at all",
        "empty": b"",
        "large": bytes(100_001),
    }
    made = {name: tmp_path / f"{name}.jpg" for name in contents}
    for name, data in contents.items():
        made[name].write_bytes(data)
    return {**made, "absent": tmp_path / "absent.jpg"}


def decide(settings: Settings, paths, **given) -> tuple[int, list[str]]:
    """Return the exit code and the lines."""
    out, err = Console(file=io.StringIO()), Console(file=io.StringIO())
    code = run_decide(settings, list(paths), out=out, err=err, **given)
    assert err.file.getvalue() == ""
    return code, out.file.getvalue().splitlines()


def decide_json(settings: Settings, paths) -> tuple[int, list[dict]]:
    code, lines = decide(settings, paths, as_json=True)
    return code, [json.loads(line) for line in lines]


def test_every_kind_of_file_gets_its_decision_in_its_place(settings, files) -> None:
    order = ["text", "firearm", "absent", "harmless", "large", "lookalike", "empty", "firearm"]
    code, lines = decide(settings, [files[name] for name in order])
    cells = [line.split("\t") for line in lines]
    assert [cell[0] for cell in cells] == [str(files[name]) for name in order]
    assert [tuple(cell[1:3]) for cell in cells] == [
        ("flag", "undecodable"),
        ("flag", "match"),
        ("flag", "unreachable"),
        ("pass", "no-match"),
        ("flag", "unreachable"),
        ("pass", "lookalike"),
        ("flag", "undecodable"),
        ("flag", "match"),
    ]
    assert cells[1][3].startswith("Revolver (small) 0.9")
    assert cells[2][3] == "No such file or directory"
    assert "100000" in cells[4][3]
    assert code == 1


def test_a_small_firearm_on_a_white_canvas_is_found_by_the_starter(tmp_path) -> None:
    settings = load_settings({"decode_processes": "1"}, environ={})
    gun = draw("kalashnikov", 0, "indexed").convert("RGB")
    white = Image.new("RGB", (4 * gun.width, 4 * gun.height), "white")
    white.paste(gun, (gun.width, 2 * gun.height))
    blank = Image.new("RGB", white.size, "white")
    blank.paste(draw("cat", 3, "posted").convert("RGB"), (gun.width, 2 * gun.height))
    paths = [tmp_path / f"{name}.jpg" for name in ("gun", "white", "blank")]
    for path, picture in zip(paths, (gun, white, blank), strict=True):
        picture.save(path, quality=92)
    code, found = decide_json(settings, paths)
    assert code == 0
    reasons = [(each["decision"], each["images"][0]["reason"]) for each in found]
    assert reasons[:2] == [("flag", "match")] * 2
    assert reasons[2][0] == "pass"
    # The part that is shown lies around the drawing.
    box = found[1]["images"][0]["region"]
    assert box["x"] < 2 * gun.width and box["x"] + box["width"] > gun.width
    assert box["width"] < white.width / 2 and box["height"] < white.height / 2


def test_what_opens_but_is_no_image_is_no_failure_of_the_command(settings, files) -> None:
    assert decide(settings, [files["text"], files["large"]])[0] == 0


def test_json_is_the_record_of_the_topic_with_an_honest_source(settings, files) -> None:
    code, records = decide_json(settings, [files["firearm"], files["absent"], files["text"]])
    assert code == 1
    assert [record["schema"] for record in records] == ["decision/1"] * 3
    assert [record["post_id"] for record in records] == [
        str(files[name]) for name in ("firearm", "absent", "text")
    ]
    sources = [record["source"] for record in records]
    assert sources == [{"topic": "file", "partition": 0, "offset": n} for n in range(3)]
    assert [record["reason"] for record in records] == ["match", "unreachable", "undecodable"]
    (image,) = records[0]["images"]
    assert (image["width"], image["height"]) == (320, 320)
    assert image["digest"].startswith("sha256:")
    assert image["types"][0]["type"] == "revolver"
    assert image["prototypes"][0]["id"] == "drawing/revolver/0"
    assert image["prototypes"][0]["similarity"] > 0.999


@pytest.fixture
def many(tmp_path, drawn) -> tuple[list[Path], list[tuple[str, str | None]]]:
    """A folder of indexed firearms and harmless pictures mixed, with (reason, type) of each."""
    paths, expected = [], []
    folder = tmp_path / "many"
    folder.mkdir()
    firearms, harmless = names("firearm"), names("harmless")
    for number in range(30):
        firearm = number % 3 != 1
        name = firearms[number % len(firearms)] if firearm else harmless[number % len(harmless)]
        data = drawn(name) if firearm else drawn(name, number, "posted")
        paths.append(folder / f"{number:02d}.jpg")
        paths[-1].write_bytes(data)
        expected.append(("match", name) if firearm else ("no-match", None))
    return paths, expected


@pytest.mark.parametrize("size", [1, 7, 32])
def test_many_files_are_decided_alike_in_batches_of_any_size(settings, many, size) -> None:
    paths, expected = many
    pipeline = settings.pipeline.model_copy(update={"max_batch": size, "batches_in_flight": 1})
    code, records = decide_json(settings.model_copy(update={"pipeline": pipeline}), paths)
    assert code == 0
    found = [(r["reason"], r["types"][0]["type"] if r["types"] else None) for r in records]
    assert found == expected
    assert [record["post_id"] for record in records] == [str(path) for path in paths]


def test_a_picture_that_comes_again_is_taken_from_the_cache(settings, files) -> None:
    pipeline = settings.pipeline.model_copy(update={"max_batch": 1})
    settings = settings.model_copy(update={"pipeline": pipeline})
    paths = [files["firearm"], files["harmless"], files["lookalike"], files["firearm"]]
    _, records = decide_json(settings, paths)
    assert [record["cached"] for record in records] == [False, False, False, True]
    assert records[0]["types"] == records[3]["types"]


def test_a_folder_stands_for_the_images_below_it(settings, files, drawn, tmp_path) -> None:
    folder = tmp_path / "folder"
    for name in ("b.jpg", "sub/c.webp", "sub/notes.txt", "a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(drawn("revolver"))
    given = [files["harmless"], folder]
    assert [str(path) for path in expanded(given)] == [
        str(files["harmless"]),
        *(str(folder / name) for name in ("a.png", "b.jpg", "sub/c.webp")),
    ]


def test_a_folder_without_images_is_named(tmp_path) -> None:
    with pytest.raises(BadSettings, match="holds no image files"):
        list(expanded([tmp_path]))


def test_a_name_that_no_file_can_have_is_an_image_that_cannot_be_had(settings, files) -> None:
    # The system refuses even to say whether there is such a file.
    code, lines = decide(settings, [Path("a" * 300 + ".jpg"), files["harmless"], Path("b\0.jpg")])
    assert code == 1
    assert [line.split("\t")[2] for line in lines] == ["unreachable", "no-match", "unreachable"]


def test_verbose_shows_the_nearest_prototypes(settings, files) -> None:
    _, lines = decide(settings, [files["firearm"], files["text"]], verbose=True)
    assert len(lines) == 2 + settings.judging.max_evidence
    assert "drawing/revolver/0" in lines[1]
    assert lines[-1].split("\t")[0] == str(files["text"])


@pytest.mark.parametrize("name", ["two\nlines.jpg", "tab\tand \x1b[31mred.jpg", b"not\xffutf8.jpg"])
def test_any_name_a_file_can_have_stays_in_its_line(settings, drawn, tmp_path, name) -> None:
    path = tmp_path / (name if isinstance(name, str) else name.decode(errors="surrogateescape"))
    path.write_bytes(drawn("revolver"))
    code, lines = decide(settings, [path])
    assert (code, len(lines)) == (0, 1)
    assert lines[0].split("\t")[1:3] == ["flag", "match"]
    assert lines[0].isprintable() or "\t" in lines[0]
    assert "\x1b" not in lines[0]
    assert decide_json(settings, [path])[1][0]["reason"] == "match"


def test_the_operators_choices_hold(settings, files) -> None:
    judging = settings.judging.model_copy(update={"on_undecodable": "pass"})
    _, lines = decide(settings.model_copy(update={"judging": judging}), [files["text"]])
    assert lines[0].split("\t")[1:3] == ["pass", "undecodable"]


class Steps:
    """An examiner that only writes down which step of which batch was taken."""

    def __init__(self, fail_at: str = "") -> None:
        self.taken: list[str] = []
        self._opened = 0
        self._fail_at = fail_at

    def open(self, posts):
        self._opened += 1
        return self._take("open", self._opened - 1)

    def prepare(self, batch):
        self._take("prepare", batch)

    def embed(self, batch):
        self._take("embed", batch)

    def judge(self, batch):
        return [self._take("judge", batch)]

    def drop(self, batch):
        self.taken.append(f"drop{batch}")

    def _take(self, step, batch):
        self.taken.append(f"{step}{batch}")
        if self.taken[-1] == self._fail_at:
            raise KeyboardInterrupt
        return batch


def test_batches_overlap_and_come_out_in_order() -> None:
    steps = Steps()
    assert list(decide_files(steps, [Path(str(n)) for n in range(10)], 3)) == [0, 1, 2, 3]
    at = {step: place for place, step in enumerate(steps.taken)}
    assert len(at) == len(steps.taken) == 16
    for batch in range(3):
        assert at[f"prepare{batch + 1}"] < at[f"embed{batch}"]
        assert at[f"embed{batch + 1}"] < at[f"judge{batch}"]
    for batch in range(1):
        assert at[f"judge{batch}"] < at[f"open{batch + 3}"], "more than three batches in flight"


@pytest.mark.parametrize("step", ["prepare0", "prepare2", "embed1", "judge0"])
def test_what_was_under_way_is_given_back_when_it_ends_early(step) -> None:
    steps = Steps(fail_at=step)
    with pytest.raises(KeyboardInterrupt):
        list(decide_files(steps, [Path(str(n)) for n in range(4)], 1))
    begun = {each[-1] for each in steps.taken if each.startswith("open")}
    judged = {each[-1] for each in steps.taken if each.startswith("judge") and each != step}
    dropped = {each[-1] for each in steps.taken if each.startswith("drop")}
    assert dropped == begun - judged


def test_an_empty_list_of_files_is_no_mistake(settings, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert decide(settings, [Path("-")]) == (0, [])


def test_the_command_reads_a_list_of_files_and_writes_lines_for_machines(settings, files) -> None:
    order = ["harmless", "firearm", "absent"]
    done = subprocess.run(
        [sys.executable, "-m", "moderator", "decide", "--json", "-",
         "--set", f"release={settings.judging.release}"],
        input="".join(f"{files[name]}\n" for name in order),
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["reason"] for record in records] == ["no-match", "match", "unreachable"]
