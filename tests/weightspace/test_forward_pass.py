"""Networks run together give what torch's own modules give one by one."""

import dataclasses
import math

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
        pool = spec.pools[i] if i < len(spec.pools) else None
        if pool is not None:
            pool = (nn.MaxPool2d if pool.kind == "max" else nn.AvgPool2d)(pool.size, pool.stride), pool.before
        layers.append(layer)
        if pool and pool[1]:
            layers.append(pool[0])
        if i < spec.num_layers - 1:
            layers.append(Sine() if spec.activation == "sin" else MODULES[spec.activation]())
        if pool and not pool[1]:
            layers.append(pool[0])
        if i == len(spec.kernels) - 1:
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def flattened(spec, state_dict):
    """Build one network from torch's modules, with a dense layer on the flattened map in place of the last kernel."""
    shapes = list(spec.weight_shapes)
    layers = list(plain_network(spec, state_dict))
    place = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)][-1]
    out, *block = shapes[len(spec.kernels) - 1]
    dense = nn.Linear(math.prod(block), out).double()
    dense.weight.data, dense.bias.data = layers[place].weight.data.view(out, -1), layers[place].bias.data
    averages = (nn.AdaptiveAvgPool2d, nn.Flatten)
    return nn.Sequential(
        *layers[:place], nn.Flatten(), dense, *(la for la in layers[place + 1 :] if not isinstance(la, averages))
    )


SPECS = [
    *(NetworkSpec.cnn([1, 4, 5], kernel=3, stride=2, outputs=3, activation=name) for name in MODULES),
    NetworkSpec.cnn([2, 4, 3], kernel=[(2, 3), 1], stride=[1, (2, 1)], padding=[(0, 1), 2], hidden=[6, 4], outputs=2),
    NetworkSpec.cnn([1, 4, 5], pool=["max2", "avg3/1:before"], padding=1, hidden=[3], outputs=2, activation="tanh"),
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


@pytest.mark.parametrize("hidden", [[], [6]])
def test_a_dense_layer_on_a_flattened_map_is_a_convolution_that_covers_it(hidden):
    sizes = {"kernel": [3, (2, 4)], "padding": [1, 0], "pool": ["max2", "none"], "input_size": (5, 9)}
    spec = NetworkSpec.cnn([2, 4, 7], **sizes, flatten=True, hidden=hidden, outputs=3)
    features = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    inputs = torch.randn(6, 2, 5, 9, dtype=torch.float64)
    outputs = run_networks(spec, features, inputs)
    for row, state_dict in enumerate(features.to_state_dicts()):
        torch.testing.assert_close(outputs[row], flattened(spec, state_dict)(inputs), rtol=1e-10, atol=1e-10)
    with pytest.raises(UsageError, match="5x11 pictures give maps of 2x5; the dense layer"):
        run_networks(spec, features, torch.randn(6, 2, 5, 11, dtype=torch.float64))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (NetworkSpec.cnn([2, 4], outputs=3, input_mean=(0.2, 0.4), input_std=(2.0,)), (2, 6, 6)),
        (NetworkSpec.mlp([8, 4, 3], "relu", input_size=(2, 2, 2), input_mean=(0.2, 0.4), input_std=(2.0,)), (8,)),
        (NetworkSpec.mlp([3, 4, 3], "relu", input_mean=(0.2, 0.4, 0.6)), (3,)),
    ],
)
def test_inputs_are_normalised_and_outputs_shifted_as_the_specification_says(spec, shape):
    bare = dataclasses.replace(spec, input_mean=(), input_std=())
    shifted = dataclasses.replace(spec, output_offset=0.5)
    features = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    inputs = torch.randn(6, *shape, dtype=torch.float64)
    mean = torch.tensor(spec.input_mean, dtype=torch.float64).view(-1, *(1,) * (2 if len(shape) > 1 else 0))
    if spec.input_size:
        mean = mean.repeat_interleave(4)
    by_hand = (inputs - mean) / (spec.input_std or (1.0,))[0]
    torch.testing.assert_close(run_networks(spec, features, inputs), run_networks(bare, features, by_hand))
    torch.testing.assert_close(run_networks(shifted, features, inputs), run_networks(spec, features, inputs) + 0.5)


def test_inputs_that_do_not_fit_are_refused():
    spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=3)
    features = WeightSpaceFeatures.randn(spec, 2)
    with pytest.raises(UsageError, match="does not fit"):
        run_networks(spec, features, torch.zeros(5, 2, 16, 16))
    with pytest.raises(UsageError, match="too small"):
        run_networks(spec, features, torch.zeros(5, 1, 4, 4))
    with pytest.raises(UsageError, match="raw weights"):
        run_networks(spec, WeightSpaceFeatures.randn(spec, 2, channels=3), torch.zeros(5, 1, 16, 16))


def test_gradients_of_shared_pictures_are_those_of_pictures_of_their_own():
    spec = NetworkSpec.cnn([2, 3, 4], stride=[(2, 1), 1], padding=1, pool=["max2", "avg2:before"], outputs=3)
    inputs = torch.randn(5, 2, 9, 8, dtype=torch.float64)
    gradients = []
    for seen in (inputs, inputs.expand(3, *inputs.shape)):
        features = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        tensors = [tensor.requires_grad_() for tensor in features.tensors()]
        gradients.append(torch.autograd.grad(run_networks(spec, features, seen).square().sum(), tensors))
    for shared, own in zip(*gradients, strict=True):
        torch.testing.assert_close(shared, own, rtol=1e-10, atol=1e-10)
