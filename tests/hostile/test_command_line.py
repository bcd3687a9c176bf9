"""Names, numbers and streams that a command line may meet."""

import os
import shutil
from pathlib import Path

import pytest
from damage import AUGMENT, PREDICT, PREDICT_ZOO, TRAIN, case, cell, in_table, in_tensors, nothing, write

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.table import refuse_ragged_rows

EXPORT = "zoo export z -o o"
VERIFY = "zoo verify z"


def named(text):
    def change(lines):
        lines[1][0] = text

    return in_table(change)


def metadata(file, **texts):
    return in_tensors(file, lambda _, found: found.update(texts))


def short(lines):
    del lines[3][4:]


def long(lines):
    lines[3].append("1")


LABELLED = "files/00.safetensors:test_accuracy"
CELL = "z/table.csv:row 5:test_accuracy"
INR = "inr-files/one.safetensors"


@pytest.mark.parametrize(
    "case",
    [
        case("C1", "zoo", nothing, "zoo info nowhere", 3, "nowhere: no such zoo", real=True),
        case("C1", "run", nothing, "predict nowhere z", 3, "nowhere", "no such run"),
        case("C1", "file", nothing, "predict r nowhere", 3, "nowhere: no such file"),
        case("C1", "recipe", nothing, "recipe show nowhere.yaml", 2, "nowhere.yaml", real=True),
        case("C2", "zoo", nothing, "zoo info mine.yaml", 3, "mine.yaml", "is a file", real=True),
        case("C2", "run", nothing, "predict mine.yaml z", 3, "mine.yaml", "is a file"),
        case("C2", "recipe", nothing, "recipe validate thesis", 2, "thesis", "a recipe is a file", real=True),
        case("C3 C6", "equal", nothing, "augment z -o z", 6, "z", real=True),
        case("C4", "inside", nothing, "zoo export z -o z/files", 6, "z/files"),
        case("C7", "slash", named("a/b"), EXPORT, 3, "z:a/b: this id cannot be a file name"),
        case("C7 H16", "dots", named(".."), EXPORT, 3, "z:..: this id cannot be a file name"),
        case("H16", "hidden", named(".hidden"), EXPORT, 3, "z:.hidden: this id cannot be a file name"),
        case("C7", "NUL", named("a\0b"), EXPORT, 3, "this id cannot be a file name"),
        case("C7 H20", "300 characters", named("x" * 300), EXPORT, 3, "this id cannot be a file name"),
        case("H20", "43,000 characters", named("x" * 43_000), EXPORT, 3, "this id cannot be a file name"),
        case("H17", "short", in_table(short), "zoo info z", 3, "z/table.csv:row 4", "4 cells", real=True),
        case("H17", "long", in_table(long), PREDICT_ZOO, 3, "z/table.csv:row 4", "cells; the heading has"),
        case("H7 F27", "train", cell("test_accuracy", "0.5%"), TRAIN, 3, CELL, "'0.5%' is not a finite number"),
        case("H7", "verify", cell("test_accuracy", "0.5%"), VERIFY, 3, CELL, "'0.5%' is not", real=True),
        case("H7", "predict", cell("test_accuracy", "high"), PREDICT_ZOO, 3, CELL, "'high'"),
        case("H7", "nan", cell("test_accuracy", "nan"), VERIFY, 3, CELL, "'nan'", real=True),
        case("H7", "1e400", cell("test_accuracy", "1e400"), PREDICT_ZOO, 3, CELL),
        case("H7", "7", cell("test_accuracy", "7"), VERIFY, 3, CELL, "'7.0' is not a finite", "[0, 1]", real=True),
        case("H18", "7", metadata("files/00.safetensors", test_accuracy="7"), PREDICT, 3, LABELLED, "'7'", "[0, 1]"),
        case("H18", "nan", metadata("files/00.safetensors", test_accuracy="nan"), PREDICT, 3, LABELLED, "'nan'"),
        case("H18", "1e400", metadata("files/00.safetensors", test_accuracy="1e400"), PREDICT, 3, LABELLED),
        case("H18", "0.5%", metadata("files/00.safetensors", test_accuracy="0.5%"), PREDICT, 3, LABELLED),
        case("H18", "class", metadata(INR, **{"class": "77"}), "classify c inr-files", 3, f"{INR}:class",
             "is none of the run's classes 0, 1"),
    ],
)  # fmt: skip
def test_wrong_names_and_numbers(refused, case):
    case.check(refused)


@pytest.mark.fault("H17")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cells_are_counted_across_quotes_and_empty_lines(end):
    rows = ["id,note", 'a,"x, y"', f'b,"two{end}lines, ""quoted"""', "", "c,"]
    text = end.join(rows)
    for last in ("", end, end + end):
        refuse_ragged_rows(Path("t"), (text + last).encode(), 2)
    for more, cells in (("d", 1), ("d,e,f", 3)):
        with pytest.raises(DataError, match=f"t:row 5: {cells} cells; the heading has 2"):
            refuse_ragged_rows(Path("t"), (text + end + more).encode(), 2)


LATIN = os.fsdecode(b"caf\xe9")


def not_utf8(path):
    def damage():
        found = Path(path)
        found.rename(found.with_name(LATIN + found.suffix))

    return damage


def classes():
    shutil.rmtree("thesis")
    from PIL import Image

    for name in (LATIN, "b"):
        (Path("pics") / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (9, 9), 20 * number).save(Path("pics") / name / f"{number}.png")


CLASSES = "zoo build cnn --images pics --count 2 --epochs 1 --size 9 -o o"


@pytest.mark.fault("C10", "H9")
@pytest.mark.parametrize(
    ("damage", "command"),
    [
        (not_utf8("files/00.safetensors"), PREDICT),
        (not_utf8("files/00.safetensors"), f"{PREDICT} --json"),
        (not_utf8("files/00.safetensors"), f"{PREDICT} -o o.csv"),
        (not_utf8("inr-files/one.safetensors"), "edit e inr-files -o o"),
        (not_utf8("inr-files/one.safetensors"), "zoo import folder inr-files -o o"),
        (not_utf8("z"), ["augment", LATIN, "-o", "o", "--scale", "1", "10"]),
        (not_utf8("z"), ["zoo", "verify", LATIN]),
        (nothing, ["augment", "z", "-o", LATIN, "--scale", "1", "10"]),
        (nothing, ["train", "--recipe", "mine.yaml", "--zoo", "z", "-o", LATIN]),
        (not_utf8("mine.yaml"), ["train", "--recipe", f"{LATIN}.yaml", "--zoo", "z", "-o", "o"]),
        (nothing, ["evaluate", "r", "--scales", "1", "-o", LATIN]),
        (classes, CLASSES),
        (lambda: Path("files/00.safetensors").rename("files/new\nline\x1b[31m.safetensors"), f"{PREDICT} -o o.csv"),
    ],
    ids=lambda value: " ".join(value).encode("ascii", "replace").decode() if isinstance(value, list) else None,
)
def test_names_that_are_no_text(mnfn, world, damage, command):
    damage()
    code, out, err = mnfn(command)
    assert code == 0 and "Traceback" not in err, err
    if "-o" in command:
        words = command if isinstance(command, list) else command.split()
        made = Path(words[words.index("-o") + 1])
        for file in made.rglob("*") if made.is_dir() else [made]:
            if file.suffix in (".json", ".csv", ".md", ".yaml"):
                file.read_text("utf-8")
    if str(command).startswith("train") or "train" in command:
        assert mnfn(["predict", command[-1], "z"])[0] == 0


@pytest.mark.fault("H9")
def test_a_recipe_cannot_name_a_zoo_that_is_not_utf8(refused):
    not_utf8("z")()
    refused(["train", "--recipe", "mine.yaml", "--zoo", LATIN, "-o", "o"], 2, "data.zoo", "is not UTF-8")


@pytest.mark.fault("H20")
def test_a_long_line_keeps_its_end_and_is_whole_on_demand(mnfn, world, monkeypatch):
    named("x" * 43_000)()
    (line,) = mnfn(EXPORT)[2].splitlines()
    assert len(line) == 300 and line.endswith("this id cannot be a file name") and "(430" in line
    monkeypatch.setenv("MNFN_DEBUG", "1")
    assert "x" * 43_000 in mnfn(EXPORT)[2].splitlines()[-1]


@pytest.mark.fault("Z10", "H20")
def test_the_first_of_many_faults_and_their_number(mnfn, world, monkeypatch):
    for number in range(30):
        write(f"files/bad{number}.safetensors", b"x")()
    *lines, last = mnfn(PREDICT)[2].splitlines()
    assert len(lines) == 20 and "bad0.safetensors" in lines[0] and "30 faults in all" in last
    _, out, _ = mnfn(f"{PREDICT} --json")
    assert out.count("files/bad") == 30
    monkeypatch.setenv("MNFN_DEBUG", "1")
    assert mnfn(PREDICT)[2].count("mnfn: error:") == 30


@pytest.mark.fault("Z10")
@pytest.mark.parametrize("options", ["", " --no-verify"])
def test_augment_names_networks_that_are_not_finite(refused, options):
    from damage import not_finite

    not_finite(range(5))()
    refused(AUGMENT + options, 3, "z:00: layers.1.weight is not finite", faults=5)


@pytest.mark.fault("H23")
def test_an_output_that_is_a_hard_link_to_an_input(mnfn, world):
    """The link gets another file; the input keeps its bytes."""
    one, out = Path("inr-files/one.safetensors"), Path("o.safetensors")
    out.hardlink_to(one)
    before = one.read_bytes()
    assert mnfn(f"edit e {one} -o {out} --force")[0] == 0
    assert one.read_bytes() == before != out.read_bytes()
