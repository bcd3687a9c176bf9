"""Which tensor is which layer is settled by shapes and numbers, or told by the user, and never guessed."""

from collections import OrderedDict
from itertools import pairwise, permutations
from math import factorial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.layer_order import OrderError, chains
from mnfn_cli.weightspace.layout import Reading, find_layout
from mnfn_cli.weightspace.naming import find_modules
from mnfn_cli.weightspace.spec import NetworkSpec

EQUAL = {"conv1": (4, 1, 3, 3), "conv_second": (4, 4, 3, 3), "conv_final": (4, 4, 3, 3), "head": (2, 4)}


def shapes_of(weights):
    """The shapes of layers with biases, from the shapes of their weights."""
    return {
        f"{name}.{kind}": s if kind == "weight" else s[:1] for name, s in weights.items() for kind in ("weight", "bias")
    }


def names(weights, **reading):
    return find_layout(shapes_of(weights), "a file", reading=Reading(**reading)).names


def test_shapes_settle_the_order_whatever_the_names():
    assert names({"fc": (2, 4), "features.0": (4, 1, 3, 3)}) == ("features.0", "fc")
    assert names({"z": (8, 3), "y": (5, 8), "a": (2, 5)}) == ("z", "y", "a")


def test_numbers_settle_the_order_of_equal_shapes():
    weights = {"net.10": (4, 4), "net.2": (4, 4), "net.0": (4, 3), "out": (2, 4)}
    assert names(weights) == ("net.0", "net.2", "net.10", "out")
    assert names({"layer2.fc": (4, 4), "layer1.fc": (4, 4), "layer10.fc": (4, 4)}) == (
        "layer1.fc", "layer2.fc", "layer10.fc",
    )  # fmt: skip


def test_an_order_that_nothing_settles_is_refused_with_the_orders_and_their_number():
    with pytest.raises(OrderError) as caught:
        names(EQUAL)
    message = str(caught.value)
    assert "2 orders" in message and "--layers" in message
    assert "conv1, conv_final, conv_second, head or conv1, conv_second, conv_final, head" in message
    assert caught.value.details["orders"] == [
        ["conv1", "conv_final", "conv_second", "head"],
        ["conv1", "conv_second", "conv_final", "head"],
    ]
    assert names(EQUAL, layers=("conv1", "conv_second", "conv_final", "head"))[1:3] == ("conv_second", "conv_final")


def test_the_number_of_orders_is_the_number_of_permutations_of_equal_layers():
    for equal in range(2, 8):
        weights = {"in": (4, 3), **{f"{'abcdefg'[i]}x": (4, 4) for i in range(equal)}, "out": (2, 4)}
        with pytest.raises(OrderError) as caught:
            names(weights)
        assert len(caught.value.details["orders"]) == min(factorial(equal), 1000)


@given(widths=st.lists(st.integers(1, 3), min_size=2, max_size=6), seed=st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_orders_are_those_of_brute_force(widths, seed):
    labels = [f"{letter}x" for letter in "abcdefgh"[: len(widths) - 1]]
    seed.shuffle(labels)
    weights = {name: (n_out, n_in) for name, n_in, n_out in zip(labels, widths, widths[1:], strict=False)}
    modules = find_modules(shapes_of(weights), "a file")
    fitting = {
        tuple(module.name for module in order)
        for order in permutations(modules)
        if all(chains(a, 1, b) for a, b in pairwise(order))
    }
    try:
        assert fitting == {names(weights)}
    except OrderError as error:
        assert set(map(tuple, error.details["orders"])) == fitting and len(fitting) > 1


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        (("conv1", "head"), "leaves out conv_final, conv_second"),
        (("conv1", "conv_second", "conv_final", "tail"), "has no layer 'tail'"),
        (("conv_second", "conv1", "conv_final", "head"), "'conv1' 4x1x3x3 does not fit behind 'conv_second'"),
        (("conv1", "conv_second", "conv_second", "conv_final", "head"), "twice"),
    ],
)
def test_a_wrong_order_is_refused(layers, problem):
    with pytest.raises(DataError, match=problem):
        names(EQUAL, layers=layers)


REFUSED = {
    "layer1.0.downsample.weight": "found 'layer1.0.downsample': residual connections are not supported",
    "encoder.self_attn.in_proj_weight": "found 'encoder.self_attn': attention is not supported",
    "up.deconv1.weight": "found 'up.deconv1': transposed convolutions are not supported",
    "rnn.weight_ih_l0": "found 'rnn.weight_ih_l0': recurrent layers are not supported",
    "fc.weight_g": "found 'fc.weight_g': weight normalisation is not supported",
    "norm1.weight": "found 'norm1': normalisation without running statistics cannot be folded",
    "alpha": "is no weight or bias",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_of_layers_is_refused_by_name(name):
    shapes = shapes_of({"fc1": (4, 3), "fc2": (2, 4)}) | {name: (4,) if name.startswith("norm") else (4, 4)}
    with pytest.raises(DataError) as caught:
        find_layout(shapes, "a file")
    assert REFUSED[name] in str(caught.value)


class Net(nn.Module):
    """Convolutions with batch normalisation, a flattened map, no bias in places."""

    def __init__(self, *, affine=True, bias=False):
        super().__init__()
        norm = lambda: nn.BatchNorm2d(4, affine=affine)  # noqa: E731
        self.features = nn.Sequential(
            OrderedDict(conv1=nn.Conv2d(1, 4, 3, bias=bias), bn1=norm(), act1=nn.Tanh(), pool=nn.MaxPool2d(2))
            | OrderedDict(conv2=nn.Conv2d(4, 4, 3, bias=bias, padding=1), bn2=norm(), act2=nn.Tanh())
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(36, 5, bias=False), nn.Tanh(), nn.Linear(5, 2))

    def forward(self, x):
        return self.classifier(self.features(x))


SPEC = NetworkSpec.cnn(
    [1, 4, 4, 5], kernel=[3, 3, 3], padding=[0, 1, 0], pool=["max2", "none", "none"], flatten=True, outputs=2,
    activation="tanh",
)  # fmt: skip


def trained(**options):
    """A network whose statistics and factors are not those of the start."""
    torch.manual_seed(0)
    net = Net(**options).double()
    inputs = torch.randn(64, 1, 8, 8, dtype=torch.float64) * 2 + 1
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    for _ in range(3):
        net(inputs)
    return net.eval(), inputs


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"bias": True}, {"affine": False, "bias": True}], ids=str)
def test_batch_normalisation_folds_into_the_same_function_and_comes_back_as_an_identity(options):
    net, inputs = trained(**options)
    state_dict = net.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    with pytest.raises(DataError, match=r"found 'features.bn1'.*--batchnorm after-layer"):
        find_layout(shapes, "a file")
    layout = find_layout(shapes, "a file", reading=Reading(batchnorm=True))
    assert layout.names == (
        "features.conv1+features.bn1",
        "features.conv2+features.bn2",
        "classifier.1",
        "classifier.3",
    )
    assert set(layout.tensors) == set(state_dict) and layout.weight_shapes("a file") == SPEC.weight_shapes
    features = WeightSpaceFeatures.from_state_dicts([state_dict], SPEC, reading=Reading(batchnorm=True))
    expected = net(inputs).detach()
    assert float((run_networks(SPEC, features, inputs)[0] - expected).abs().max() / expected.abs().max()) < 1e-12
    written = layout.write([tensor[0, 0] for tensor in features.tensors()])
    assert set(written) == set(state_dict)
    net.load_state_dict(written)
    assert float((net(inputs).detach() - expected).abs().max() / expected.abs().max()) < 1e-10
    assert float((net.features.bn1.running_var - 1).abs().max()) < 2e-5


def test_a_bias_that_was_not_there_is_written_only_if_it_is_not_zero():
    layout = find_layout({"a.weight": (3, 2), "b.weight": (1, 3)}, "a file")
    tensors = [torch.ones(3, 2), torch.zeros(3), torch.ones(1, 3), torch.zeros(1)]
    assert set(layout.write(tensors)) == {"a.weight", "b.weight"}
    tensors[1] = torch.ones(3)
    assert set(layout.write(tensors)) == {"a.weight", "a.bias", "b.weight"}


def test_batch_normalisations_that_widths_do_not_tell_apart_are_refused_or_named():
    shapes = shapes_of({"conv1": (4, 1, 3, 3), "conv2": (4, 4, 3, 3), "conv3": (4, 4, 3, 3), "fc": (2, 4)})
    shapes |= {f"{name}.{kind}": (4,) for name in ("bn1", "bn2") for kind in ("running_mean", "running_var")}
    with pytest.raises(DataError, match="found bn1, bn2: nothing tells which of the layers of width 4"):
        find_layout(shapes, "a file", reading=Reading(batchnorm=True))
    order = ("conv1+bn1", "conv2", "conv3+bn2", "fc")
    assert find_layout(shapes, "a file", reading=Reading(order)).names == order
    for wrong in (("conv1+bn1", "conv2", "conv3", "fc"), ("conv1+bn1", "conv2+bn1", "conv3", "fc")):
        with pytest.raises(DataError, match="every batch normalisation once"):
            find_layout(shapes, "a file", reading=Reading(wrong))
    wide = shapes | {f"bn2.{kind}": (2,) for kind in ("running_mean", "running_var")}
    with pytest.raises(DataError, match="'bn2' of width 2 cannot follow 'conv3' of 4"):
        find_layout(wide, "a file", reading=Reading(order))


def test_a_layout_describes_only_files_in_which_every_tensor_has_its_shape():
    shapes = shapes_of({"conv": (4, 1, 3, 3), "fc": (2, 4)})
    shapes |= {f"bn.{kind}": (4,) for kind in ("weight", "bias", "running_mean", "running_var")}
    layout = find_layout(shapes, "a file", reading=Reading(batchnorm=True))
    assert layout.describes(shapes) and not layout.describes(shapes | {"bn.num_batches_tracked": ()})
    for name, shape in shapes.items():
        assert not layout.describes(shapes | {name: (*shape, 1)}) and not layout.describes(shapes | {name: (7,)})


def test_a_map_that_is_no_square_needs_its_size():
    shapes = shapes_of({"conv": (4, 1, 3, 3), "fc": (2, 24)})
    layout = find_layout(shapes, "a file")
    with pytest.raises(DataError, match=r"reads 6 pixels of each channel.*--input-size"):
        layout.weight_shapes("a file")
    assert layout.weight_shapes("a file", (2, 3))[1] == (2, 4, 2, 3)
