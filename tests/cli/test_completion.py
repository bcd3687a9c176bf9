"""Completion: what a shell is told at the tab key, by the protocol that it speaks; and fast, without torch."""

import os
import subprocess
import sys

import pytest

from mnfn_cli.symmetry import CLASSIFIER_ACTIVATIONS

SCRIPT = """
import sys
from mnfn_cli.cli.app import main
try:
    main()
except SystemExit:
    pass
print("loaded:", *[name for name in ("torch", "polars", "numpy", "matplotlib") if name in sys.modules])
"""


def complete(*words):
    """Return what bash is offered for the last of these words."""
    line = ["mnfn", *words]
    protocol = {
        "_MNFN_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | protocol, capture_output=True, text=True, check=True
    )
    offered, _, loaded = done.stdout.rpartition("loaded:")
    assert loaded.split() == [] and done.stderr == ""
    return offered.splitlines() if offered.strip() else []


def test_commands():
    assert complete("predi") == ["predict-generalization", "predict"]
    assert complete("zoo", "ex") == ["export"]


@pytest.mark.parametrize("command", [["train", "--recipe"], ["recipe", "show"], ["recipe", "validate"]])
def test_recipes(command):
    names = complete(*command, "generalization/relu-mono")
    assert names == ["generalization/relu-monomial", "generalization/relu-monomial-canonical"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["zoo", "build", "cnn", "--activation", ""], list(CLASSIFIER_ACTIVATIONS)),
        (["zoo", "export", "ZOO", "--split", ""], ["train", "val", "test"]),
        (["predict", "RUN", "ZOO", "--on-bad", ""], ["fail", "skip"]),
        (["evaluate", "RUN", "--precision", "fp6"], ["fp64"]),
        (["zoo", "import", ""], ["small-cnn-zoo", "nfn-siren", "dws-inr", "model-zoos", "folder"]),
        (["zoo", "import", "fo"], ["folder"]),
        (["zoo", "import", "folder", "NETS", "--activation", "s"], ["sin", "silu", "sigmoid"]),
        (["zoo", "import", "dws-inr", "INRS", "--coordinates", ""], ["yx", "xy"]),
        (["evaluate", "RUN", "--device", "c"], ["cpu", "cuda", "cuda:0"]),
    ],
)
def test_values_of_options(words, offered):
    assert complete(*words) == offered


def test_keys_and_models_of_the_recipe_on_the_line():
    train = ("train", "--recipe", "classification/digits-monomial")
    assert complete(*train, "optimizer.l") == ["optimizer.lr="]
    models = ["absolute", "graded", "hnp", "mlp", "monomial", "np", "probe"]
    assert complete(*train, "model.name=") == [f"model.name={name}" for name in models]
    assert complete(*train, "model.name", "=", "") == models and complete(*train, "model.name", "=") == models
    assert complete(*train, "model.name", "=", "mo") == ["monomial"]
    assert complete(*train, "optimizer.lr=") == [] and complete(*train, "optimizer.lr", "=") == []
    assert complete(*train, "optimizer.lr", "=", "1", "model.na") == ["model.name="]
    assert "gnn" in complete("train", "model.name", "=", "") and "monomial-strict" in complete(
        "recipe", "show", "no/such-recipe", "model.name", "=", ""
    )


def test_scripts_for_shells():
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mnfn_cli", "--show-completion", "bash"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "_MNFN_COMPLETE=complete_bash" in done.stdout
