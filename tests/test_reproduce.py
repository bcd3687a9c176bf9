"""Every command of docs/reproduce.md runs, on small data sets in the layouts of the archives that the page names."""

import importlib.util
import io
import json
import random
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from mnfn_cli.cli.app import main
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks import metrics
from mnfn_cli.weightspace.spec import NetworkSpec

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reproduce.md").read_text()
SECTIONS = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])
EXPERIMENTS = [title for title in SECTIONS if title.startswith(("Table", "Figure"))]

SMALL = {
    "classification": ["model.base_channels=[4,4]", "model.fourier.size=4", "model.head=[8,8]"],
    "editing": ["model.base_channels=[4,4]", "model.fourier.size=4"],
}
SMALL_MLP = ["model.hidden=[8,8]"]
SHORT = {
    "generalization": ["training.epochs=1"],
    "classification": ["training.steps=2", "training.batch_size=4"],
    "editing": ["training.steps=2", "training.batch_size=4"],
}


def commands(section):
    """Return the commands in the blocks of a section, each as a list of words."""
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def shortened(words):
    """Return the command of a sweep with small models of pictures, few steps, and seed 0 or, on one zoo, 0 and 1."""
    changed = list(words)
    for place, word in enumerate(words):
        if words[place - 1] == "--recipe":
            task = word.partition("/")[0]
            changed[place] = ";".join([word, *(SMALL_MLP if "-mlp" in word else SMALL.get(task, []))])
    return [*changed, "--seeds", "0,1" if "--zoo" in words else "0", *SHORT[task]]


def matches(pattern, folder):
    """Return the paths that a shell puts in place of a pattern."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))


def run(words, folder):
    """Run a command in this process, inside a folder, and return its output."""
    words = [name for word in words for name in (matches(word, folder) if "*" in word else [word])]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.chdir(folder)
        patch.setattr(sys, "argv", words)
        patch.setattr(metrics, "BOOTSTRAP_SAMPLES", 20)
        with redirect_stderr(io.StringIO()) as errors, pytest.raises(SystemExit) as done:
            main()
    assert done.value.code == 0, errors.getvalue()
    return out.getvalue()


def write_cnns(folder, zoos):
    """Write trained classifiers of both activations as the Small CNN Zoo, and the order in which it is split."""
    from cnn_zoo_files import metrics_row, tensorflow_order, write_data_set

    array = np.concatenate([tensorflow_order(zoo.read()) for zoo in zoos.values()])
    rows = [
        metrics_row(name, 86, value) for name, zoo in zoos.items() for value in zoo.table["test_accuracy"].to_list()
    ]
    write_data_set(folder / "cifar10", array, rows)
    order = random.Random(0).sample(range(len(rows)), len(rows))
    (folder / "cifar10_split.csv").write_text("".join(f"{row}\n" for row in [0, *order]))


def write_inrs(folder):
    """Write SIRENs that were fitted to digits as the sets of the nfn library; those of CIFAR-10 have three colours."""
    from foreign_files import fitted_sirens, write_nfn

    indices = [*range(12), *range(45_000, 45_005), *range(50_000, 50_007)]
    for name, channels, size, steps in (("mnist", 1, 28, 10), ("fashion", 1, 28, 20), ("cifar", 3, 32, 10)):
        spec = NetworkSpec.mlp([2, 32, 32, channels], activation="sin", omega=30.0)
        write_nfn(folder / f"siren_{name}_wts", fitted_sirens(len(indices), spec, size, steps), indices, copies=1)


@pytest.fixture(scope="module")
def world(digits_zoo, tanh_zoo, tmp_path_factory):
    """A folder with the page's zoos, made by the page's commands."""
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "data").mkdir()
    write_cnns(folder / "data", {"relu": digits_zoo, "tanh": tanh_zoo})
    write_inrs(folder / "data")
    for words in commands(SECTIONS["Data"]):
        run(words, folder)
    return folder


def test_the_zoos_are_split_as_the_page_says(world):
    from mnfn_cli import open_zoo

    relu, scaled, mnist = (open_zoo(world / "zoos" / name) for name in ("relu", "relu-10", "mnist"))
    sizes = {split: len(relu.rows(split)) for split in ("train", "val", "test")}
    assert sizes["test"] == -(-len(relu) // 2) and sizes["train"] == int(0.8 * (len(relu) // 2))
    assert {split: len(scaled.rows(split)) for split in sizes} == {split: 2 * size for split, size in sizes.items()}
    assert [len(mnist.rows(split)) for split in ("train", "val", "test")] == [12, 5, 7]


@pytest.mark.docs
@pytest.mark.parametrize("title", EXPERIMENTS)
def test_an_experiment_ends_in_its_table(title, world):
    sweep, evaluate = commands(SECTIONS[title])
    run(shortened(sweep), world)
    shown = run(evaluate, world)
    folder = world / evaluate[-1]
    document = json.loads((folder / "evaluation.json").read_text())
    recipes = [words.partition(";")[0] for place, words in enumerate(sweep) if sweep[place - 1] == "--recipe"]
    wanted = {load_recipe(name).model.name for name in recipes}
    assert {row["model"] for row in document["rows"]} == wanted
    zoos = set(re.findall(r"zoos/([\w-]+)", " ".join(sweep)))
    assert set(document["zoos"].values()) == zoos
    runs = len(recipes) * max(len([word for word in sweep if word == "--vary"]), 1)
    assert len(document["zoos"]) == runs * (2 if "--zoo" in sweep else 1)
    figure = {"Table 3": "accuracy", "Table 4": "mse"}.get(title, "tau")
    assert figure in shown and all(figure in row for row in document["rows"])
    if figure == "tau":
        assert max(row["largest_change"] for row in document["rows"] if row["model"] == "monomial") < 1e-3
    if title == "Table 12":
        (pattern,) = re.findall(r"`(sweeps/\S+)`", SECTIONS["Table 14"])
        assert len(matches(pattern, world)) == len(recipes)
    if title == "Table 14":
        assert {row["networks"] for row in document["means"]} == {
            "original", *(f"U[1, {x}], permuted" for x in (10, 100, 1000, 10000))
        }  # fmt: skip
    assert (folder / "robustness.png").stat().st_size > 5_000


def test_the_page_is_generated(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    found = importlib.util.spec_from_file_location("reproduce", ROOT / "scripts" / "reproduce.py")
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    assert script.page() == PAGE
    gpu = {"device": "a GPU", "kind": "cuda", "torch": "2", "steps": script.devices()[0]["steps"]}
    monkeypatch.setattr(script, "stored", lambda known=script.stored: [*known(), gpu])
    assert "nothing was measured" in PAGE and "(estimate)" in PAGE
    assert "nothing was measured" not in script.page() and "(estimate)" not in script.page()
    assert "| ms a step, a GPU | hours a run | hours in all |" in script.page()
