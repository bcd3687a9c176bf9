"""What is said about every fault of a recipe: the file, the key, what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe import load_recipe, parse_recipe

Faults = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("written", "instead", "fault"),
    [
        ("version: 1", "version: 2", "version: this mnfn reads recipes of version 1 only; write 'version: 1'"),
        ("version: 1", "version: true", "version: this mnfn reads recipes of version 1 only; write 'version: 1'"),
        ("version: 1", "version: 1.0", "version: this mnfn reads recipes of version 1 only; write 'version: 1'"),
        ("version: 1", "", "version: missing"),
        ("version: 1", "vers: 1\nversion: 1", "vers: unknown key, did you mean 'version'?"),
        ("version: 1", "version: 1\nlr: 1", "lr: unknown key, did you mean 'optimizer.lr'?"),
        ("version: 1", "version: 1\nqqq: 1", "qqq: unknown key, known here: version, task, data, model, augment"),
        ("version: 1", "version: 1\na.lr: 1", "a.lr: unknown key, a recipe has sections; only overrides"),
        (
            "generalization",
            "regression",
            "task: must be 'generalization', 'classification' or 'editing', not the text 'regression'",
        ),
        ("[zoos/digits-relu]", "5", "data.zoo: a list such as [1, 2] is needed, not 5"),
        ("[zoos/digits-relu]", "[a, 5]", "data.zoo.1: text is needed, not 5; put it in quotes"),
        ("[zoos/digits-relu]", "['']", "data.zoo.0: the path of a zoo is needed, not the text ''"),
        ("[zoos/digits-relu]", '["a\\0"]', "data.zoo.0: the path of a zoo is needed, not the text 'a\\x00'"),
        ("[zoos/digits-relu]", '["\\uD800"]', "data.zoo.0: text of whole Unicode characters is needed"),
        (
            "digits-relu]",
            "digits-relu], activation: gelu",
            "data.activation: must be 'relu', 'leaky_relu', 'sin' or 'tanh'",
        ),
        (
            "digits-relu]",
            "digits-relu], activation: sin",
            "model: activation 'relu' respects scalings, but networks of 'sin'",
        ),
        (
            "name: monomial",
            "name: absolute",
            "model.name: no model is called 'absolute'; the models are monomial, statnn, np, hnp, gnn, mlp, "
            "statistics-mlp, learned-test-set, trees",
        ),
        (
            "name: monomial, ",
            "",
            "model.name: missing; the models are monomial, statnn, np, hnp, gnn, mlp, statistics-mlp, "
            "learned-test-set, trees",
        ),
        ("[16, 16, 5]", "[]", "model.channels: at least one entry is needed"),
        ("[16, 16, 5]", "16", "model.channels: a list such as [1, 2] is needed, not 16"),
        ("[16, 16, 5]", "[16, 0]", "model.channels.1: must be at least 1, not 0"),
        ("[16, 16, 5]", "[16, 010]", "model.channels.1: a whole number is needed, not the text '010'"),
        ("[200, 200]", "[200]", "model.head: two numbers are needed, not 1"),
        ("[200, 200]", "[2, 2, 2]", "model.head: two numbers are needed, not 3"),
        ("[200, 200]", "[2, true]", "model.head.1: a whole number is needed, not true"),
        ("canonicalize: false", "canonicalize: no", "model.canonicalize: true or false is needed, not the text 'no'"),
        ("canonicalize: false", "canonicalise: false", "model.canonicalise: unknown key, did you mean 'canonicalize'?"),
        ("canonicalize: false", "dropout: 1", "model.dropout: must be below 1, not 1"),
        (
            "canonicalize: false",
            "activation: gelu",
            "model.activation: must be 'relu', 'tanh', 'sin' or 'auto', not the text 'gelu'",
        ),
        (
            "canonicalize: false",
            "activation: tanh",
            "model.invariant: 'absolute' is needed beside activation 'tanh', not",
        ),
        (
            "canonicalize: false",
            "invariant: absolute",
            "model.invariant: 'normalize' is needed beside activation 'relu'",
        ),
        ("{scale: [1, 1e4]}", "[1, 1e4]", "augment: a section with keys is needed, not a list"),
        ("[1, 1e4]", "1e4", "augment.scale: a list such as [1, 2] is needed, not 10000.0"),
        ("[1, 1e4]", "{a: 1}", "augment.scale: a list such as [1, 2] is needed, not a section"),
        ("[1, 1e4]", "[1]", "augment.scale: two numbers are needed, not 1"),
        ("[1, 1e4]", "[0, 1]", "augment.scale.0: must be above 0, not 0"),
        ("[1, 1e4]", "[1, .inf]", "augment.scale.1: a finite number is needed, not .inf"),
        ("[1, 1e4]", "[10, 1]", "augment.scale: the lowest scale comes first, so [1, 10]"),
        ("name: adam", "name: sgd", "optimizer.name: must be 'adam' or 'adamw', not the text 'sgd'"),
        ("1e-3", "0", "optimizer.lr: must be above 0, not 0"),
        ("1e-3", "-1e-3", "optimizer.lr: must be above 0, not -0.001"),
        ("1e-3", ".nan", "optimizer.lr: a finite number is needed, not .nan"),
        ("1e-3", "-.inf", "optimizer.lr: a finite number is needed, not -.inf"),
        ("1e-3", "1e999", "optimizer.lr: a finite number is needed, not .inf"),
        ("1e-3", "true", "optimizer.lr: a number is needed, not true"),
        ("1e-3", "no", "optimizer.lr: a number is needed, not the text 'no'"),
        ("1e-3", "'1e-3'", "optimizer.lr: a number is needed, not the text '1e-3'"),
        ("1e-3", "{}", "optimizer.lr: a number is needed, not a section"),
        ("1e-3", "9" * 5000, "optimizer.lr: a number is needed, not the text '999"),
        ("lr: 1e-3, ", "", "optimizer.lr: missing"),
        ("lr: 1e-3", "lr: null", "optimizer.lr: missing"),
        ("warmup_steps: 0", "warmup_steps: -1", "optimizer.warmup_steps: must be at least 0, not -1"),
        ("warmup_steps: 0", "weight_decay: -1", "optimizer.weight_decay: must be at least 0, not -1"),
        ("epochs: 50", "epochs: 0", "training.epochs: must be at least 1, not 0"),
        ("epochs: 50", "epochs: 5.0", "training.epochs: a whole number is needed, not 5.0"),
        ("epochs: 50", "epochs: 1e1", "training.epochs: a whole number is needed, not 10.0"),
        ("epochs: 50, ", "", "training.steps: one of epochs and steps is needed"),
        ("epochs: 50", "epochs: 50, steps: 9", "training.steps: both epochs and steps are given; keep one"),
        ("batch_size: 8", "batch_size: 0", "training.batch_size: must be at least 1, not 0"),
        (
            "batch_size: 8",
            f"batch_size: {10**30}",
            "training.batch_size: must be at most 2147483647, not a huge number",
        ),
        ("seed: 0", "seed: -1", "training.seed: must be at least 0, not -1"),
        ("seed: 0", "seed: 0xFFFFFFFFFFFFFFFF", "training.seed: must be at most 9223372036854775807, not 18446"),
        ("fp32", "fp16", "training.precision: must be 'bf16', 'fp32' or 'fp64', not the text 'fp16'"),
        ("seed: 0", "sede: 0", "training.sede: unknown key, did you mean 'seed'?"),
    ],
)
def test_one_fault(good: str, faults: Faults, written: str, instead: str, fault: str) -> None:
    assert written in good
    (found,) = faults(good.replace(written, instead, 1))
    assert found.startswith(f"recipe.yaml:{fault}")


def test_the_recipe_that_the_faults_start_from_is_good(good: str, write: Callable[[str], Path]) -> None:
    recipe = load_recipe(str(write(good)))
    assert recipe.augment is not None
    assert recipe.augment.scale == (1.0, 10000.0)
    assert recipe.optimizer.lr == 0.001


def test_all_faults_are_reported_in_one_pass(faults: Faults) -> None:
    found = faults(
        "version: 3\ntask: none\ndata: {zoo: 5}\nmodel: {name: x}\naugment: 1\noptimizer: {name: adam, lr: -1, lr: 2}\n"
        "training: {epochs: 0, batch: 0}\ntraining: {}\n"
    )
    assert [fault.split(": ")[0] for fault in found] == [
        "recipe.yaml:6",
        "recipe.yaml:8",
        "recipe.yaml:version",
        "recipe.yaml:task",
        "recipe.yaml:data.zoo",
        "recipe.yaml:model.name",
        "recipe.yaml:augment",
        "recipe.yaml:optimizer.lr",
        "recipe.yaml:training.epochs",
        "recipe.yaml:training.batch_size",
        "recipe.yaml:training.batch",
    ]


def test_an_override_at_fault_is_named_instead_of_the_file(good: str, faults: Faults) -> None:
    assert faults(good, "optimizer.lr=-1", "optimizer.warmup=3", "model.name=absolute", "training=null") == [
        "override model.name: no model is called 'absolute'; the models are monomial, statnn, np, hnp, gnn, mlp, "
        "statistics-mlp, learned-test-set, trees",
        "override optimizer.lr: must be above 0, not -1",
        "override optimizer.warmup: unknown key, did you mean 'warmup_steps'?",
        "override training: missing",
    ]


def test_a_null_that_removes_nothing_is_still_checked(good: str, faults: Faults) -> None:
    assert faults(good, "agument=null") == ["override agument: unknown key, did you mean 'augment'?"]


def test_a_key_of_three_thousand_parts(good: str, faults: Faults) -> None:
    (fault,) = faults(good.replace("data:", "#"), f"data.zoo.{'a.' * 3000}b=1")
    assert fault == "override data.zoo: a list such as [1, 2] is needed, not a section"


def test_control_characters_are_escaped(good: str, faults: Faults) -> None:
    (fault,) = faults(good + '"\\e[31m": 1\n')
    assert fault.startswith("recipe.yaml:\\x1b[31m: unknown key")


def test_a_recipe_error_ends_with_exit_code_2() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({}, "nothing")
    assert caught.value.exit_code == 2
    assert caught.value.faults == tuple(
        f"nothing:{key}: missing" for key in ("version", "task", "model", "optimizer", "training")
    )
