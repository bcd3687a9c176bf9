"""Networks run together give what torch's own modules give one by one."""

import pytest
import torch
from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec

MODULES = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(15.0 * x)


def plain_network(spec, state_dict):
    """Build one network from torch's modules."""
    layers = []
    for i, (shape, name) in enumerate(zip(spec.weight_shapes, range(spec.num_layers), strict=True)):
        if len(shape) == 4:
            layer = nn.Conv2d(shape[1], shape[0], shape[2:], spec.strides[i], spec.paddings[i]).double()
        else:
            layer = nn.Linear(shape[1], shape[0]).double()
        layer.weight.data = state_dict[f"layers.{name}.weight"]
        layer.bias.data = state_dict[f"layers.{name}.bias"]
        layers.append(layer)
        if i < spec.num_layers - 1:
            layers.append(Sine() if spec.activation == "sin" else MODULES[spec.activation]())
        if i == len(spec.kernels) - 1:
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


SPECS = [
    *(NetworkSpec.cnn([1, 4, 5], kernel=3, stride=2, outputs=3, activation=name) for name in MODULES),
    NetworkSpec.cnn([2, 4, 3], kernel=[(2, 3), 1], stride=[1, (2, 1)], padding=[(0, 1), 2], hidden=[6, 4], outputs=2),
    NetworkSpec.mlp([2, 8, 8, 3], "sin", omega=15.0),
    NetworkSpec.mlp([2, 8, 1], "relu"),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_same_as_torch_modules(spec, shared):
    features = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    shape = (spec.widths[0], 10, 12) if spec.kernels else (spec.widths[0],)
    inputs = torch.randn(*(() if shared else (3,)), 6, *shape, dtype=torch.float64)
    outputs = run_networks(spec, features, inputs)
    assert outputs.shape == (3, 6, spec.widths[-1])
    for row, state_dict in enumerate(features.to_state_dicts()):
        expected = plain_network(spec, state_dict)(inputs if shared else inputs[row])
        torch.testing.assert_close(outputs[row], expected, rtol=1e-10, atol=1e-10)


def test_inputs_that_do_not_fit_are_refused():
    spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=3)
    features = WeightSpaceFeatures.randn(spec, 2)
    with pytest.raises(UsageError, match="does not fit"):
        run_networks(spec, features, torch.zeros(5, 2, 16, 16))
    with pytest.raises(UsageError, match="too small"):
        run_networks(spec, features, torch.zeros(5, 1, 4, 4))
    with pytest.raises(UsageError, match="raw weights"):
        run_networks(spec, WeightSpaceFeatures.randn(spec, 2, channels=3), torch.zeros(5, 1, 16, 16))
