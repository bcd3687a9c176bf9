from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.batched import (
    BATCH_SIZE,
    CHUNK_ACTIVATIONS,
    CHUNK_NUMBERS,
    CHUNK_SIZE,
    ChannelDropout,
    count_steps,
    draw_order,
    draw_start,
    measure_accuracy,
    networks_at_once,
    plan_chunks,
    train_networks,
)
from mnfn_cli.zoo.build.hyperparameters import Hyperparameters, draw

SPEC = NetworkSpec.cnn([1, 4, 5, 6], kernel=3, stride=2, padding=[0, 1, 1], outputs=3, activation="tanh")
HIDDEN = NetworkSpec.cnn([2, 4, 5], kernel=[3, 2], stride=[2, 1], padding=[1, 0], hidden=[7], outputs=3)
DENSE = NetworkSpec.mlp([12, 7, 3], "relu")
LARGE_KERNELS = NetworkSpec.cnn([1, 4, 5], kernel=[5, 4], stride=2, padding=1, outputs=3, activation="leaky_relu")
BASE = Hyperparameters("adam", 1e-2, 1e-3, 0.0, 1.0, 1.0, seed=7)
NUM_IMAGES, EPOCHS, SEED = 45, 3, 11


def pictures(spec: NetworkSpec = SPEC, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (NUM_IMAGES,), generator=stream)
    shape = (spec.widths[0], 12, 12) if spec.kernels else (spec.widths[0],)
    images = torch.randn(NUM_IMAGES, *shape, generator=stream, dtype=dtype)
    return images + labels.view(-1, *(1,) * len(shape)) - 1, labels


def various(optimizer: str) -> list[Hyperparameters]:
    """Networks whose subsets of 45 pictures make 2, 1 and 1 batches, some partial, in an order that is not sorted."""
    rates = {"adam": 1e-2, "sgd": 0.5, "rmsprop": 3e-3}
    fractions = [0.3, 1.0, 0.5, 32 / 45]
    return [
        replace(BASE, optimizer=optimizer, learning_rate=rates[optimizer] / (i + 1), train_fraction=fraction, seed=i)
        for i, fraction in enumerate(fractions)
    ]


def train(spec: NetworkSpec, drawn: list[Hyperparameters], dtype: torch.dtype = torch.float32) -> WeightSpaceFeatures:
    return train_networks(spec, *pictures(spec, dtype), drawn, epochs=EPOCHS, seed=SEED, device="cpu")


def train_alone(spec: NetworkSpec, drawn: Hyperparameters, dtype: torch.dtype) -> WeightSpaceFeatures:
    """The plain loop: one network, its own batches, ``torch.optim``."""
    images, labels = pictures(spec, dtype)
    network = draw_start(spec, [drawn], SEED, dtype).map(lambda tensor: tensor.requires_grad_())
    options = {"lr": drawn.learning_rate, "weight_decay": drawn.weight_decay}
    optimizer: torch.optim.Optimizer
    match drawn.optimizer:
        case "adam":
            optimizer = torch.optim.Adam(network.tensors(), **options)
        case "sgd":
            optimizer = torch.optim.SGD(network.tensors(), momentum=0.9, **options)
        case "rmsprop":
            optimizer = torch.optim.RMSprop(network.tensors(), **options)
    for epoch in range(EPOCHS):
        for batch in draw_order(drawn, len(images), epoch, SEED).split(32):
            optimizer.zero_grad()
            F.cross_entropy(run_networks(spec, network, images[batch])[0], labels[batch]).backward()
            optimizer.step()
    return network.detach()


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize(
    "spec", [SPEC, HIDDEN, DENSE, LARGE_KERNELS], ids=["tanh", "hidden relu", "dense", "large kernels"]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 5e-4)])
def test_every_network_ends_where_it_ends_alone(
    optimizer: str, spec: NetworkSpec, dtype: torch.dtype, tolerance: float
) -> None:
    drawn = various(optimizer)
    together = train(spec, drawn, dtype)
    assert together.dtype == dtype
    for row, one in enumerate(drawn):
        alone = train_alone(spec, one, dtype).flatten()[0]
        start = draw_start(spec, [one], SEED, dtype).flatten()[0]
        assert (alone - start).abs().max() > 0.005
        torch.testing.assert_close(together.flatten()[row], alone, rtol=0, atol=tolerance)


def test_shapes_are_those_of_raw_weights() -> None:
    trained = train(HIDDEN, various("adam"))
    assert [tuple(weight.shape) for weight in trained.weights] == [(4, 1, *shape) for shape in HIDDEN.weight_shapes]
    assert [tuple(bias.shape) for bias in trained.biases] == [(4, 1, *shape) for shape in HIDDEN.bias_shapes]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_training_again_gives_the_same_bits(dropout: float) -> None:
    drawn = [replace(one, dropout=dropout) for one in various("adam")]
    assert torch.equal(train(SPEC, drawn).flatten(), train(SPEC, drawn).flatten())


def test_company_changes_nothing() -> None:
    drawn = [replace(one, dropout=0.4) for one in various("adam")]
    together = train(SPEC, drawn, torch.float64).flatten()
    for row, one in enumerate(drawn):
        alone = train(SPEC, [one], torch.float64).flatten()[0]
        torch.testing.assert_close(alone, together[row], rtol=0, atol=1e-9)


def test_dropout_matters_and_the_seed_decides_it() -> None:
    plain, dropped = train(SPEC, [BASE]), train(SPEC, [replace(BASE, dropout=0.5)])
    assert not torch.allclose(plain.flatten(), dropped.flatten())
    other = train_networks(SPEC, *pictures(), [replace(BASE, dropout=0.5)], epochs=EPOCHS, seed=SEED + 1, device="cpu")
    assert not torch.allclose(other.flatten(), dropped.flatten())


def test_dropout_silences_as_often_as_asked_and_keeps_the_mean() -> None:
    drawn = [replace(BASE, dropout=rate, seed=seed) for seed, rate in enumerate((0.0, 0.2, 0.5))]
    keep = ChannelDropout(drawn, width=50, seed=SEED, like=torch.zeros(0)).draw(active=3, batch_size=400)
    assert keep is not None and keep.shape == (3, 400, 50)
    for factors, one in zip(keep, drawn, strict=True):
        assert (factors == 0).float().mean().item() == pytest.approx(one.dropout, abs=0.015)
        torch.testing.assert_close(factors.max().item(), 1 / (1 - one.dropout), rtol=1e-6, atol=0)
        assert factors.mean().item() == pytest.approx(1, abs=0.03)


def test_networks_that_drop_nothing_pay_nothing() -> None:
    assert ChannelDropout([BASE], width=5, seed=SEED, like=torch.zeros(0)).draw(active=1, batch_size=4) is None


def test_a_network_that_diverges_is_alone_with_it() -> None:
    drawn = [replace(one, learning_rate=0.01) for one in various("sgd")]
    wild = [*drawn[:2], replace(BASE, optimizer="sgd", learning_rate=1e30), *drawn[2:]]
    healthy, mixed = train(HIDDEN, drawn), train(HIDDEN, wild)
    assert not mixed.flatten()[2].isfinite().all()
    torch.testing.assert_close(mixed.select([0, 1, 3, 4]).flatten(), healthy.flatten(), rtol=1e-4, atol=1e-5)


def test_starts_are_torchs_times_the_scale() -> None:
    drawn = [replace(BASE, initial_scale=2.0, seed=seed) for seed in range(200)]
    start = draw_start(SPEC, drawn, SEED)
    for weight, bias in zip(start.weights, start.biases, strict=True):
        bound = 2.0 / weight[0, 0, 0].numel() ** 0.5
        for tensor in (weight, bias):
            assert 0.97 * bound < tensor.abs().max() <= bound
            assert tensor.std() == pytest.approx(bound / 3**0.5, rel=0.06)
    assert torch.equal(draw_start(SPEC, drawn[5:6], SEED).flatten()[0], start.flatten()[5])


def test_every_epoch_has_the_subset_in_an_order_of_its_own() -> None:
    drawn = replace(BASE, train_fraction=0.3)
    first, second = (draw_order(drawn, NUM_IMAGES, epoch, SEED) for epoch in (0, 1))
    assert len(first) == drawn.subset_size(NUM_IMAGES) == 14
    assert set(first.tolist()) == set(second.tolist()) and first.tolist() != second.tolist()
    assert set(draw_order(replace(drawn, seed=8), NUM_IMAGES, 0, SEED).tolist()) != set(first.tolist())
    assert sorted(draw_order(BASE, NUM_IMAGES, 0, SEED).tolist()) == list(range(NUM_IMAGES))


def test_chunks_hold_every_network_once_with_one_optimizer_and_falling_steps() -> None:
    drawn = draw(83, seed=0)
    chunks = plan_chunks(drawn, 1437, EPOCHS, chunk_size=10)
    assert sorted(row for chunk in chunks for row in chunk) == list(range(83))
    for chunk in chunks:
        steps = [count_steps(drawn[row], 1437, EPOCHS) for row in chunk]
        assert len(chunk) <= 10 and steps == sorted(steps, reverse=True)
        assert len({drawn[row].optimizer for row in chunk}) == 1


def test_large_networks_share_a_computation_with_fewer() -> None:
    assert networks_at_once(SPEC) == CHUNK_SIZE
    kernels = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10)
    assert networks_at_once(kernels, (16, 16)) == CHUNK_SIZE
    assert networks_at_once(kernels, (28, 28)) == CHUNK_ACTIVATIONS // (BATCH_SIZE * 16 * 13 * 13) < CHUNK_SIZE
    assert networks_at_once(kernels, (900, 900)) == 1
    large = NetworkSpec.mlp([1000, 3000, 10], "relu")
    assert networks_at_once(large) == CHUNK_NUMBERS // large.num_parameters == 5
    assert networks_at_once(NetworkSpec.mlp([10_000, 10_000, 10], "relu")) == 1


def test_mixed_optimizers_are_refused() -> None:
    with pytest.raises(UsageError, match="plan_chunks"):
        train(SPEC, [BASE, replace(BASE, optimizer="sgd")])


def test_a_check_that_raises_ends_the_training() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_networks(SPEC, *pictures(), [BASE], epochs=EPOCHS, seed=SEED, check=check, device="cpu")
    assert len(calls) == 3


def test_every_network_is_reported_once() -> None:
    class Counter:
        finished = 0

        def start(self, description: str, total: int) -> None:
            raise AssertionError("the caller starts the stage")

        def advance(self, steps: int = 1, **figures: float) -> None:
            self.finished += steps

        def note(self, text: str) -> None: ...

    counter = Counter()
    train_networks(SPEC, *pictures(), various("adam"), epochs=EPOCHS, seed=SEED, progress=counter, device="cpu")
    assert counter.finished == 4


def test_accuracy_counts_the_right_answers() -> None:
    features = draw_start(SPEC, [replace(BASE, seed=seed) for seed in range(5)], SEED)
    images, labels = pictures()
    expected = (run_networks(SPEC, features, images).argmax(-1) == labels).float().mean(-1)
    assert torch.equal(measure_accuracy(SPEC, features, images, labels, chunk_size=2), expected)


def test_training_helps() -> None:
    images, labels = pictures()
    trained = train_networks(SPEC, images, labels, [BASE], epochs=20, seed=SEED, device="cpu")
    assert measure_accuracy(SPEC, trained, images, labels).item() > 0.8
