import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import activate, run_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.forward import LossGradient, first_patches, pack_networks, unpack_networks

SPECS = {
    "published": NetworkSpec.cnn([1, 4, 5, 3], kernel=3, stride=2, outputs=4),
    "padded": NetworkSpec.cnn([2, 4, 5], kernel=3, stride=1, padding=1, outputs=4),
    "uneven": NetworkSpec.cnn(
        [2, 3, 4, 5], kernel=[5, (3, 2), (2, 3)], stride=[2, (1, 2), 1], padding=[(2, 1), (0, 1), 1], outputs=4
    ),
    "gaps between kernels": NetworkSpec.cnn([1, 3, 4], kernel=[3, 2], stride=[1, 3], outputs=4),
    "hidden dense layers": NetworkSpec.cnn([1, 3, 4], kernel=3, stride=2, hidden=[6, 5], outputs=4),
    "one convolution": NetworkSpec.cnn([3, 5], kernel=4, stride=3, padding=2, outputs=4),
    "no dense layer": NetworkSpec((2, 3, 4), "tanh", ((3, 3), (2, 2)), ((2, 2), (1, 1)), ((0, 0), (1, 1))),
} | {
    activation: NetworkSpec.cnn([1, 3, 3], kernel=3, stride=2, hidden=[4], outputs=4, activation=activation)
    for activation in GROUP_OF_ACTIVATION
}
NETWORKS, PICTURES, SIZE = 3, 6, (16, 15)


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> NetworkSpec:
    return SPECS[request.param]


@pytest.fixture
def stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def networks_of(spec: NetworkSpec, stream: torch.Generator) -> WeightSpaceFeatures:
    drawn = WeightSpaceFeatures.randn(spec, NETWORKS, generator=stream, dtype=torch.float64)
    return drawn.map(lambda tensor: (0.5 * tensor).requires_grad_())


def run_with_dropout(spec: NetworkSpec, features: WeightSpaceFeatures, row: int, x: Tensor, keep: Tensor) -> Tensor:
    """Network ``row`` layer by layer with torch's own functions; pictures ``(b, c, h, w)``, keep ``(b, widths)``."""
    last = spec.num_layers - 1
    for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
        if i < len(spec.kernels):
            x = F.conv2d(x, weight[row, 0], bias[row, 0], spec.strides[i], spec.paddings[i])
        else:
            x = F.linear(x, weight[row, 0], bias[row, 0])
        if i < last:
            factor = keep.split(spec.hidden_widths, dim=-1)[i]
            x = activate(x, spec) * factor.reshape(*factor.shape, *(1,) * (x.dim() - 2))
        if i == len(spec.kernels) - 1:
            x = x.mean(dim=(-2, -1))
    return x


def test_packing_is_undone(spec: NetworkSpec, stream: torch.Generator) -> None:
    features = WeightSpaceFeatures.randn(spec, NETWORKS, generator=stream)
    numbers = pack_networks(features)
    assert numbers.shape == (NETWORKS, spec.num_parameters)
    for before, after in zip(features.tensors(), unpack_networks(spec, numbers).tensors(), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("dropout", [False, True])
def test_gradients_are_autograds(spec: NetworkSpec, stream: torch.Generator, dropout: bool) -> None:
    features = networks_of(spec, stream)
    images = torch.randn(9, spec.widths[0], *SIZE, generator=stream, dtype=torch.float64)
    chosen = torch.randint(9, (NETWORKS, PICTURES), generator=stream)
    labels = torch.randint(4, (NETWORKS, PICTURES), generator=stream)
    shares = torch.rand(NETWORKS, PICTURES, generator=stream, dtype=torch.float64)
    keep = torch.rand(NETWORKS, PICTURES, sum(spec.hidden_widths), generator=stream, dtype=torch.float64)
    keep = keep if dropout else torch.ones_like(keep)

    logits = torch.stack(
        [run_with_dropout(spec, features, row, images[chosen[row]], keep[row]) for row in range(NETWORKS)]
    )
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    (losses @ shares.flatten()).backward()
    expected = pack_networks(features.map(lambda tensor: tensor.grad))

    numbers = pack_networks(features).detach()
    loss = LossGradient(spec, NETWORKS, PICTURES, SIZE, numbers)
    patches = first_patches(spec, images)[chosen]
    for _ in range(2):  # the second call finds what the first left in the buffers
        found = loss.compute(numbers, patches, labels, shares, keep if dropout else None)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_reference_is_the_network_that_everybody_else_runs(spec: NetworkSpec, stream: torch.Generator) -> None:
    features = networks_of(spec, stream)
    images = torch.randn(PICTURES, spec.widths[0], *SIZE, generator=stream, dtype=torch.float64)
    ones = torch.ones(PICTURES, sum(spec.hidden_widths), dtype=torch.float64)
    found = torch.stack([run_with_dropout(spec, features, row, images, ones) for row in range(NETWORKS)])
    torch.testing.assert_close(found, run_networks(spec, features, images))


@pytest.mark.parametrize(
    ("spec", "shape", "fault"),
    [
        (NetworkSpec.mlp([4, 3, 2], "relu"), (5, 1, 2, 2), "has no convolution"),
        (SPECS["published"], (5, 3, 16, 16), "needs \\(pictures, 1, h, w\\)"),
        (SPECS["published"], (5, 1, 8, 8), "8x8 pictures are too small"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(spec: NetworkSpec, shape: tuple[int, ...], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        first_patches(spec, torch.zeros(shape))
