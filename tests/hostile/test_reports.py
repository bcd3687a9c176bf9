"""mnfn report on files that were changed: it draws the page or says what is wrong, and is never surprised."""

import json
import os
import shutil
from pathlib import Path

import pytest
from damage import instead
from small_world import FIRST, tree

STRANGE = (None, "x", -1, 1e999, float("nan"), [], {}, [[]], [{}], {"": None}, True, ["x"] * 3, 10**40, "\ud800")


def places(value, prefix=()):
    """Every place in a JSON document, of a list only the first entry."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, entry in pairs:
        yield (*prefix, key)
        yield from places(entry, (*prefix, key))


def put(document, place, value):
    *above, last = place
    for key in above:
        document = document[key]
    document[last] = value


@pytest.fixture
def reported(world):
    """A world with an evaluation ``v`` and a sweep ``s`` of one run."""
    shutil.copytree(FIRST / "evaluation", "v")
    Path("s").mkdir()
    shutil.copytree("r", "s/r-seed0")
    result = json.loads(Path("r/result.json").read_text())
    row = {"recipe": "r", "variant": [], "seed": 0, "reads": "weights alone"}
    row |= {name: result[name] for name in ("model", "parameters", "test", "seconds")}
    Path("s/results.json").write_text(json.dumps([row]))
    return world


LONG = ["z/zoo.json", "inr/zoo.json", "r/run.json", "r/result.json", "c/result.json", "e/run.json", "e/result.json",
        "s/results.json"]  # fmt: skip
FILES = ["v/evaluation.json", *(pytest.param(name, marks=pytest.mark.fuzz) for name in LONG)]


@pytest.mark.parametrize("file", FILES)
def test_any_key_may_hold_anything(mnfn, reported, file):
    """One strange value in each place in turn: the page is drawn, or one line a fault says where it is."""
    original = Path(file).read_text()
    document = json.loads(original)
    before, ended = tree("."), set()
    for number, place in enumerate(places(document)):
        # Every place meets some of the values, and every value many places.
        for value in (STRANGE[number % len(STRANGE)], STRANGE[(3 * number + 5) % len(STRANGE)]):
            changed = json.loads(original)
            put(changed, place, value)
            Path(file).write_text(json.dumps(changed))
            code, _, err = mnfn(["report", file.partition("/")[0], "-o", "page.html", "--force", "-q"])
            assert code in (0, 2, 3) and "Traceback" not in err and "Warning" not in err, (place, value, err[-3000:])
            assert (code == 0) == Path("page.html").exists(), (place, value)
            Path("page.html").unlink(missing_ok=True)
            ended.add(code)
    Path(file).write_text(original)
    assert tree(".") == before and {0, 3} <= ended


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.fuzz)])
def test_any_line_of_metrics(mnfn, reported, share):
    """Every strange value in every key; of a share, every value in some keys and every key with some values."""
    file = Path("r/metrics.jsonl")
    line = json.loads(file.read_text().splitlines()[0])
    for number, key in enumerate(line):
        for value in STRANGE[number % share :: share]:
            file.write_text("\n".join(json.dumps(line | {key: value}) for _ in range(3)) + "\n")
            code, _, err = mnfn(["report", "r", "-o", "page.html", "--force", "-q"])
            assert code in (0, 3) and "Traceback" not in err and "Warning" not in err, (key, value, err[-3000:])


READ = ["r/metrics.jsonl", "r/predictions.csv", "r/recipe.yaml", "r/result.json", "z/zoo.json", "z/table.csv",
        "e/examples.safetensors", "v/evaluation.json", "s/results.json"]  # fmt: skip
THINGS = {"FIFO": os.mkfifo, "folder": os.mkdir, "loop": lambda path: Path(path).symlink_to(Path(path).name)}


@pytest.mark.parametrize("file", READ)
@pytest.mark.parametrize("thing", THINGS)
def test_something_else_in_place_of_a_file(refused, reported, file, thing):
    instead(file, THINGS[thing])()
    refused(f"report {file.partition('/')[0]} -o page.html", 3, file)


def test_empty_cells_of_a_table(mnfn, reported):
    Path("p.csv").write_text("network,predicted_accuracy,low,high,true_accuracy,unlike\na,,,,,\nb,0.5,,,0.5,\n")
    assert mnfn("report p.csv -o page.html")[0] == 0
    Path("q.csv").write_text("network,predicted_accuracy,true_accuracy\na,inf,nan\nb,1e308,-1e308\nc,0,0\n")
    assert mnfn("report q.csv -o page2.html")[0] == 0
