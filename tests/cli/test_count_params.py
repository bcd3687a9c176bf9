"""mnfn count-params as a user types it."""

import json
import subprocess
import sys

import pytest

HEAVY = ("sympy", "polars", "scipy", "cv2", "sklearn", "matplotlib")
LOADED = """
import sys
sys.argv = ["mnfn", "count-params", *{arguments!r}]
from mnfn_cli.cli.app import main
try:
    main()
except SystemExit as outcome:
    assert outcome.code == 0, outcome.code
print("loaded:", *[name for name in {heavy!r} if name in sys.modules])
"""


def test_the_papers_tables(mnfn):
    text = mnfn("count-params")
    assert text.count("recipe ") == 3
    (line,) = [line for line in text.splitlines() if line.startswith("editing/cifar10-contrast-hnp ")]
    assert line.split()[1:] == ["12.8M", "12.9M", "12,878,235"]
    tables = json.loads(mnfn("count-params", "--json"))["tables"]
    assert [len(table["rows"]) >= 10 for table in tables] == [True] * 3
    assert tables[0]["rows"][0] == {
        "recipe": "generalization/relu-monomial",
        "weight_space": "1 -> 16 -> 16 -> 16 -> 10, kernels 3x3, 3x3, 3x3, strides 2x2, 2x2, 2x2, relu",
        "parameters": 254_609,
        "ours": "0.25M",
        "paper": "0.25M",
    }


def test_a_recipe_layer_by_layer(mnfn):
    names = ("generalization/relu-monomial", "editing/cifar10-contrast-np")
    text = mnfn("count-params", "--recipe", names[0], "--recipe", names[1])
    lines = [line.split() for line in text.splitlines()]
    assert ["head.0", "Linear", "200x250,", "200", "50,200"] in lines
    assert ["total", "MonomialGeneralization", "254,609"] in lines and [
        "total",
        "NPEditor",
        "4,133,656",
    ] in lines
    assert "for networks 2 -> 32 -> 32 -> 3, sin (omega 30)" in text
    (document,) = json.loads(mnfn("count-params", "--recipe", names[0], "--json"))["recipes"]
    assert document["parameters"] == 254_609 and document["weight_space"]["widths"] == [1, 16, 16, 16, 10]
    outermost = [layer["parameters"] for layer in document["layers"] if "." not in layer["path"]]
    assert sum(outermost) == 254_609


def test_overrides_and_other_networks(mnfn):
    small = mnfn("count-params", "--recipe", "classification/mnist-mlp", "model.hidden=[7]", "--widths", "2,3,1")
    assert small.splitlines()[-1].split() == ["total", "MlpClassifier", str(14 * 7 + 80)]
    text = mnfn("count-params", "--recipe", "classification/mnist-hnp", "--widths", "2,3,1", "--activation", "tanh")
    assert "for networks 2 -> 3 -> 1, tanh" in text


def test_the_networks_of_a_zoo(mnfn, digits_zoo, inr_zoo, classes_run):
    text = mnfn("count-params", "--recipe", "generalization/relu-monomial", "--zoo", digits_zoo.path)
    assert str(digits_zoo.spec) in text
    trained = json.loads((classes_run / "result.json").read_text())["parameters"]
    asked = ("--recipe", "classification/digits-monomial", "model.base_channels=[6,6]", "model.head=[8,8]")
    (counted,) = json.loads(mnfn("count-params", *asked, "--zoo", inr_zoo.path, "--json"))["recipes"]
    assert counted["parameters"] == trained


def test_growth(mnfn, fail, tmp_path):
    text = mnfn("count-params", "--growth", "-o", "growth.png")
    assert (tmp_path / "growth.png").exists()
    assert ["10", "6,928", "155,024", "127,936", "1,285,688,592"] in [line.split() for line in text.splitlines()]
    document = json.loads(mnfn("count-params", "--growth", "--json"))
    assert [size["depth"] for size in document["depth"]] == list(range(2, 11))
    assert [size["width"] for size in document["width"]] == [8, 16, 32, 64, 128, 256]
    assert "exists" in fail("count-params", "--growth", "-o", "growth.png", code=6)
    mnfn("count-params", "--growth", "-o", "growth.png", "--force")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--recipe", "editing/mnist-dilate-nq"], "did you mean"),
        (["--recipe", "editing/mnist-dilate-np", "model.base_chanels=3"], "base_channels"),
        (["--growth", "--recipe", "editing/mnist-dilate-np"], "leave out --recipe"),
        (["-o", "growth.png"], "add --growth"),
        (["--widths", "2,3,1"], "need --recipe"),
        (["training.seed=1"], "need --recipe"),
        (["--growth", "--zoo", "zoo"], "need --recipe"),
        (["--recipe", "editing/mnist-dilate-np", "--zoo", "zoo", "--widths", "2,3,1"], "leave out --widths"),
        (["--recipe", "editing/mnist-dilate-np", "--activation", "sin"], "goes with --widths"),
        (["--recipe", "editing/mnist-dilate-np", "--widths", "2,x,1"], "whole numbers"),
        (["--recipe", "editing/mnist-dilate-np", "--widths", "2,1"], "at least 2"),
        (["--recipe", "editing/mnist-dilate-np", "--widths", "2,3,1", "--activation", "relv"], "data.activation"),
        (
            ["--recipe", "editing/mnist-dilate-monomial", "--widths", "2,3,1", "--activation", "relu"],
            "change model.name",
        ),
    ],
)
def test_usage_errors(fail, arguments, says):
    assert says in fail("count-params", *arguments, code=2)


def test_a_zoo_that_does_not_fit(fail, digits_zoo):
    assert "relu" in fail("count-params", "--recipe", "editing/mnist-dilate-np", "--zoo", digits_zoo.path, code=2)
    fail("count-params", "--recipe", "editing/mnist-dilate-np", "--zoo", "nothing", code=3)


@pytest.mark.parametrize("arguments", [[], ["--growth"], ["--recipe", "editing/mnist-dilate-monomial-strict"]])
def test_nothing_heavy_is_imported(arguments):
    script = LOADED.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.rsplit("loaded:", 1)[1].split() == []
