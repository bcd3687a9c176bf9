"""A zoo of several weight spaces on the command line: merged, counted, trained on, evaluated and predicted."""

import csv
import json
from pathlib import Path

import pytest

SMALL = ["model.channels=[4,2]", "model.head=[8,8]", "training.epochs=1"]


@pytest.fixture
def both(mnfn, digits_zoo, tanh_zoo):
    mnfn("zoo", "merge", digits_zoo.path, tanh_zoo.path, "-o", "both")
    return "both"


def test_from_zoo_to_predictions(mnfn, both):
    train = ["train", "--recipe", "generalization/mixed-monomial", "--zoo", both, *SMALL]
    trained = mnfn(*train, "-o", "run")
    total, relu, tanh = trained.split("\n\n")
    assert "parameters" in total and relu.splitlines()[0].endswith("relu") and tanh.splitlines()[0].endswith("tanh")
    assert [text.splitlines()[2].split()[0] for text in (total, relu, tanh)] == ["tau"] * 3
    result = json.loads(mnfn(*train, "-o", "again", "--json"))
    assert [entry["networks"] for entry in result["by_weight_space"]] == [8, 8]

    mnfn("predict", "run", both, "--split", "test", "-o", "predictions.csv")
    rows = list(csv.DictReader(Path("predictions.csv").read_text().splitlines()))
    assert len(rows) == 16 and {row["weight_space"].rpartition(", ")[2] for row in rows} == {"relu", "tanh"}
    counted = json.loads(mnfn("predict", "run", both, "-o", "all.csv", "--json"))
    assert counted["networks"] == 80 and [entry["networks"] for entry in counted["by_weight_space"]] == [40, 40]

    evaluated = mnfn("evaluate", "run", "--scales", "10", "-o", "evaluation")
    assert "U[1, 10] and sign flips, permuted" in evaluated and "Within each weight space" in evaluated
    assert "ublished" not in evaluated
    page = Path("evaluation/evaluation.md").read_text()
    assert page.count("| 8 |") == 4 and "Within each weight space:" in page
    document = json.loads(Path("evaluation/evaluation.json").read_text())
    assert document["group"] == "scale and sign"
    assert [len(row["by_weight_space"]) for row in document["rows"]] == [2, 2]
    assert "by_weight_space" not in Path("evaluation/evaluation.csv").read_text()


def test_parameters_are_counted_once(mnfn, both):
    count = ["count-params", "--recipe", "generalization/mixed-gnn", "--zoo", both]
    lines = [line.split() for line in mnfn(*count).splitlines()]
    assert lines[-1] == ["total", "SharedFunctional", "133,017"]
    (document,) = json.loads(mnfn(*count, "--json"))["recipes"]
    assert [spec["activation"] for spec in document["weight_spaces"]] == ["relu", "tanh"]
    assert document["parameters"] == 133_017 == document["layers"][0]["parameters"]
    assert not any(layer["path"].startswith("models.1") for layer in document["layers"])


def test_what_a_model_cannot_read_ends_with_2_and_leaves_nothing(fail, both, tmp_path):
    error = fail("train", "--recipe", "generalization/relu-mlp", "--zoo", both, "-o", "run", code=2, lines=1)
    assert "networks with tanh; this recipe is for relu networks" in error
    (tmp_path / "mlp.yaml").write_text(
        "version: 1\ntask: generalization\nmodel: {name: mlp, head: [4, 4]}\noptimizer: {name: adam, lr: 1e-3}\n"
        "training: {epochs: 1, batch_size: 4}\n"
    )
    error = fail("train", "--recipe", "mlp.yaml", "--zoo", both, "-o", "run", code=2)
    assert "both: model mlp cannot read these networks" in error and "one weight space" in error
    assert not (tmp_path / "run").exists()
