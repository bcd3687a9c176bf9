"""The table of symmetries: each line is checked on the functions themselves, and recipes offer what it says."""

import subprocess
import sys
from contextlib import nullcontext
from typing import get_args

import pytest
import torch
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.activation import FUNCTIONS, EquivariantActivation
from mnfn_cli.nn.invariant import AbsoluteValue, NormalizeEntries
from mnfn_cli.recipe.generalization_models import Monomial
from mnfn_cli.recipe.sections import Activation
from mnfn_cli.symmetry import GROUP_NAMES, GROUP_OF_ACTIVATION, INVARIANT_STEPS, LAYER_ACTIVATIONS, Group
from mnfn_cli.testing import assert_invariant
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import activate
from mnfn_cli.weightspace.spec import NetworkSpec

FACTORS = {"scale": 3.0, "sign": -1.0}
STEPS = {"normalize": lambda spec: NormalizeEntries(spec, 1), "absolute": lambda spec: AbsoluteValue()}


def commutes(function: object, factor: float) -> bool:
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    y: Tensor = function(factor * x)  # type: ignore[operator]
    return torch.allclose(y, factor * function(x), atol=1e-12)  # type: ignore[operator]


@pytest.mark.parametrize("activation", GROUP_OF_ACTIVATION)
@pytest.mark.parametrize("group", FACTORS)
def test_a_network_activation_commutes_with_its_group_and_no_other(activation: str, group: Group) -> None:
    spec = NetworkSpec.mlp([1, 1, 1], activation)
    assert commutes(lambda x: activate(x, spec), FACTORS[group]) == (GROUP_OF_ACTIVATION[activation] == group)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("group", FACTORS)
def test_a_layer_activation_commutes_with_the_groups_that_list_it(name: str, group: Group) -> None:
    assert commutes(FUNCTIONS[name], FACTORS[group]) == (name in LAYER_ACTIVATIONS[group])
    assert name in LAYER_ACTIVATIONS["permutation"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_an_invariant_step_fits_the_groups_that_list_it(step: str, activation: str) -> None:
    spec = NetworkSpec.mlp([2, 3, 4, 2], activation)
    layer = STEPS[step](spec).double()

    def invariant(features: WeightSpaceFeatures) -> Tensor:
        return torch.cat([tensor.flatten(1).sort().values for tensor in layer(features).tensors()], 1)

    expected = nullcontext() if step in INVARIANT_STEPS[spec.group] else pytest.raises(AssertionError)
    with expected:
        assert_invariant(invariant, spec)


def test_a_layer_activation_that_is_not_listed_is_refused() -> None:
    with pytest.raises(UsageError, match="relu breaks the sign group of tanh networks; use tanh or sin"):
        EquivariantActivation(NetworkSpec.mlp([1, 1, 1], "tanh"), "relu")


def test_recipes_offer_what_the_table_says() -> None:
    fields = Monomial.model_fields
    offered = {name: set(get_args(fields[name].annotation)) - {"auto"} for name in ("activation", "invariant")}
    assert offered["activation"] == set(LAYER_ACTIVATIONS["permutation"]) == set(FUNCTIONS)
    assert offered["invariant"] == set(INVARIANT_STEPS["permutation"])
    beyond = {name for name, group in GROUP_OF_ACTIVATION.items() if group != "permutation"}
    assert set(get_args(Activation)) == beyond
    assert set(GROUP_NAMES) == set(LAYER_ACTIVATIONS) == set(INVARIANT_STEPS) == set(GROUP_OF_ACTIVATION.values())


def test_the_table_needs_no_torch() -> None:
    code = "import mnfn_cli.symmetry, sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "False"
