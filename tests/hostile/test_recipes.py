"""Recipes that are not what they should be, as ``mnfn recipe validate`` and ``mnfn train`` meet them."""

import os

import pytest
from damage import TRAIN, case, instead, nothing, write
from small_world import RECIPE

VALIDATE = "recipe validate mine.yaml"
BOMB = "a: &a [1, 2]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


def recipe(old, new):
    assert old in RECIPE
    return write("mine.yaml", RECIPE.replace(old, new))


def more(text):
    return write("mine.yaml", RECIPE + text)


@pytest.mark.parametrize(
    "case",
    [
        case("R1", "key twice", more("task: editing\n"), VALIDATE, 2, "mine.yaml:7", "'task'", "second time",
             real=True),
        case("R2", "unknown key", more("agument: {}\n"), VALIDATE, 2, "mine.yaml:agument", "did you mean 'augment'?",
             real=True),
        case("R3", "no", recipe("1e-3", "no"), VALIDATE, 2, "optimizer.lr: a number is needed, not the text 'no'",
             real=True),
        case("R3", "010", recipe("batch_size: 4", "batch_size: 010"), VALIDATE, 2, "training.batch_size", "'010'",
             real=True),
        case("R3", "true", recipe("1e-3", "true"), VALIDATE, 2, "optimizer.lr: a number is needed, not true",
             real=True),
        case("R5", "negative", recipe("1e-3", "-1e-3"), VALIDATE, 2, "optimizer.lr: must be above 0, not -0.001",
             real=True),
        case("R5", "infinite", recipe("1e-3", ".inf"), VALIDATE, 2, "optimizer.lr: a finite number", real=True),
        case("R6", "no epochs", recipe("epochs: 1", "epochs: 0"), VALIDATE, 2, "training.epochs: must be at least 1",
             real=True),
        case("R7", "tag", recipe("generalization", "!!python/object:os.system x"), VALIDATE, 2, "mine.yaml:3", "tag",
             real=True),
        case("R8", "alias", recipe("task: generalization", "task: &t generalization\nmore: *t"), VALIDATE, 2,
             "the anchor '&t'", faults=2, real=True),
        case("R9", "alias bomb", write("mine.yaml", BOMB), VALIDATE, 2, "mine.yaml:1: the anchor '&a'", faults=7,
             real=True),
        case("R10", "depth 3,000", more("more: " + "[" * 3000), VALIDATE, 2, "nested deeper than 20 levels", real=True),
        case("R11", "tab", recipe("training: {", "training:\n\tepochs: 1\nmore: {"), VALIDATE, 2, "a tab stands",
             real=True),
        case("R12", "NUL", more("more: \0"), VALIDATE, 2, "the character U+0000", real=True),
        case("R13", "empty", write("mine.yaml", ""), VALIDATE, 2, "mine.yaml: empty", real=True),
        case("R14", "list", write("mine.yaml", "[1, 2]"), VALIDATE, 2, "a list at the top", real=True),
        case("R15", "batch", nothing, f"{TRAIN} training.batch_size=5000", 2, "training.batch_size", "5000 is more"),
        case("R16", "task", nothing, "train --recipe classification/digits-monomial --zoo z -o o", 2,
             "z: networks with relu"),
        case("R17", "group", nothing, "train --recipe generalization/tanh-monomial --zoo z -o o", 2, "z", "relu",
             "tanh"),
        case("R18", "version", recipe("version: 1", "version: 2"), VALIDATE, 2, "recipes of version 1 only",
             real=True),
        case("R19", "zoo twice", nothing, f"{TRAIN} --zoo ./z", 2, "data.zoo", "z is given more than once"),
        case("H11", "FIFO validate", instead("mine.yaml", os.mkfifo), VALIDATE, 2, "mine.yaml", "a recipe is a file",
             real=True),
        case("H11", "FIFO train", instead("mine.yaml", os.mkfifo), TRAIN, 2, "mine.yaml", "a recipe is a file"),
        case("H11", "FIFO count", instead("mine.yaml", os.mkfifo), "count-params --recipe mine.yaml --zoo z", 2,
             "mine.yaml"),
        case("H11", "FIFO in a run", instead("r/recipe.yaml", os.mkfifo), "predict r z", 2, "r/recipe.yaml"),
        case("H11", "FIFO plugin", instead("plugin.py", os.mkfifo), "predict r z --plugin plugin.py", 2, "plugin.py"),
    ],
)  # fmt: skip
def test_a_bad_recipe_is_named(refused, case):
    case.check(refused)


@pytest.mark.fault("R4")
@pytest.mark.parametrize("number", ["1e-3", "1.0e-3", "0.001"])
def test_numbers_that_yaml_1_1_reads_as_text(mnfn, world, number):
    recipe("1e-3", number)()
    code, out, _ = mnfn(f"{VALIDATE} --json")
    assert code == 0 and '"lr": 0.001' in out
