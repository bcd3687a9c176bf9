"""Train many small classifiers in one batched computation, each with its own hyperparameters, pictures and order."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.context import Progress, Silent
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import largest_layer, run_networks
from mnfn_cli.weightspace.spec import NetworkSpec, Pair
from mnfn_cli.zoo.build.forward import LossGradient, first_layer_inputs, pack_networks, unpack_networks
from mnfn_cli.zoo.build.hyperparameters import Hyperparameters
from mnfn_cli.zoo.build.optimizers import OPTIMIZERS

BATCH_SIZE = 32
CHUNK_SIZE = 32
"""The largest number of networks in one batched computation. It is large enough that the time of the matrix products
dominates that of calling them."""
CHUNK_ACTIVATIONS = 2**20
"""The largest number of activations in one layer of all networks together, for the pictures of one step: 4 MB in
float32. With more of them, so many leave a CPU's cache between two operations that the networks take longer."""
CHUNK_NUMBERS = 2**24
"""The largest number of weights and biases, of all networks together, in one batched computation. It bounds the memory:
an optimizer keeps several numbers for each of them."""
PICTURES_AT_ONCE = 256
"""The number of pictures in one forward pass of ``measure_accuracy``, which bounds its memory."""
PICTURES_IN_CACHE = 32
"""The same on a CPU, whose cache then keeps the maps."""


def networks_at_once(spec: NetworkSpec, image_size: Pair | None = None, batch_size: int = BATCH_SIZE) -> int:
    """Return how many networks are trained in one batched computation: fewer than ``CHUNK_SIZE`` if they are large.

    Args:
        spec: the architecture of all networks.
        image_size: (height, width) of the pictures that convolutions read; dense networks need none.
        batch_size: the number of pictures in a step.
    """
    activations = batch_size * largest_layer(spec, image_size)
    return min(max(min(CHUNK_NUMBERS // spec.num_parameters, CHUNK_ACTIVATIONS // activations), 1), CHUNK_SIZE)


def count_steps(hyperparameters: Hyperparameters, num_images: int, epochs: int, batch_size: int = BATCH_SIZE) -> int:
    """Return the number of optimizer steps that a network takes."""
    return epochs * math.ceil(hyperparameters.subset_size(num_images) / batch_size)


def plan_chunks(
    hyperparameters: Sequence[Hyperparameters],
    num_images: int,
    epochs: int,
    batch_size: int = BATCH_SIZE,
    chunk_size: int = CHUNK_SIZE,
) -> list[list[int]]:
    """Divide networks into chunks for ``train_networks``: one optimizer each, similar numbers of steps.

    Args:
        hyperparameters: one entry for each network.
        num_images: the number of pictures in the training set.
        epochs: the number of passes over a network's subset.
        batch_size: the number of pictures in a step.
        chunk_size: the largest number of networks in a chunk. Chunks of one optimizer differ in size by one at most.

    Returns:
        the networks' positions in ``hyperparameters``, each in exactly one chunk; inside a chunk, those with the most
        steps come first.
    """
    chunks = []
    for optimizer in OPTIMIZERS:
        rows = [row for row, drawn in enumerate(hyperparameters) if drawn.optimizer == optimizer]
        rows.sort(key=lambda row: count_steps(hyperparameters[row], num_images, epochs, batch_size), reverse=True)
        parts = math.ceil(len(rows) / chunk_size)
        edges = [len(rows) * part // parts for part in range(parts + 1)] if parts else []
        chunks += [rows[start:end] for start, end in pairwise(edges)]
    return chunks


def draw_start(
    spec: NetworkSpec,
    hyperparameters: Sequence[Hyperparameters],
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> WeightSpaceFeatures:
    """Draw the initial weights and biases of every network from its own seed.

    They are drawn as torch draws them for ``Conv2d`` and ``Linear``, uniformly from ``+-1 / sqrt(fan_in)``, and then
    multiplied by the network's ``initial_scale``.

    Returns:
        weights ``(networks, 1, out, in, *kernel)`` and biases ``(networks, 1, out)``.
    """
    start = WeightSpaceFeatures.zeros(spec, len(hyperparameters), dtype=dtype)
    for row, drawn in enumerate(hyperparameters):
        stream = generator(seed, "start", drawn.seed)
        for weight, bias in zip(start.weights, start.biases, strict=True):
            bound = drawn.initial_scale / math.sqrt(weight[row, 0, 0].numel())
            weight[row].uniform_(-bound, bound, generator=stream)
            bias[row].uniform_(-bound, bound, generator=stream)
    return start


def draw_order(hyperparameters: Hyperparameters, num_images: int, epoch: int, seed: int) -> Tensor:
    """Return the pictures of a network's subset in the order of one epoch, ``(subset_size,)``.

    The subset is the first ``ceil(train_fraction * num_images)`` entries of the network's own permutation.
    """
    subset = torch.randperm(num_images, generator=generator(seed, "subset", hyperparameters.seed))
    size = hyperparameters.subset_size(num_images)
    order = torch.randperm(size, generator=generator(seed, "order", hyperparameters.seed, epoch))
    return subset[order]


def train_networks(
    spec: NetworkSpec,
    images: Tensor,
    labels: Tensor,
    hyperparameters: Sequence[Hyperparameters],
    *,
    epochs: int,
    batch_size: int = BATCH_SIZE,
    seed: int,
    progress: Progress = Silent(),
    check: Callable[[], None] = lambda: None,
    device: torch.device | str,
) -> WeightSpaceFeatures:
    """Train every network on its own subset of the pictures, with cross-entropy, in one batched computation.

    Networks do not influence each other: without dropout, each one ends, to rounding, with the weights that a plain
    loop over its own batches gives. A network that diverges is returned with weights that are not finite.

    Args:
        spec: the architecture of all networks.
        images: ``(pictures, channels, height, width)``, for dense networks ``(pictures, n_0)``; the computation has
            their dtype.
        labels: class numbers ``(pictures,)``, integers below ``n_L``.
        hyperparameters: one entry for each network, all with the same optimizer (``plan_chunks`` sorts them so).
        epochs: the number of passes of every network over its own subset. The last batch of a pass may be smaller.
        batch_size: the number of pictures in a step.
        seed: the seed of the zoo. Together with a network's own seed it decides that network's start, subset, order
            and dropout.
        progress: is told the number of networks that have finished.
        check: is called before every step; an exception that it raises ends the training.
        device: the device to compute on.

    Returns:
        weights ``(networks, 1, out, in, *kernel)`` and biases ``(networks, 1, out)``, on the CPU, in the order of
        ``hyperparameters``.

    Raises:
        UsageError: optimizers differ, or the pictures do not fit the spec.
    """
    names = {drawn.optimizer for drawn in hyperparameters}
    if len(names) > 1:
        raise UsageError("hyperparameters", f"optimizers {', '.join(sorted(names))} in one chunk; use plan_chunks")
    first_inputs = first_layer_inputs(spec, images.to(device))
    labels = labels.to(device, torch.long)
    image_size = (images.shape[2], images.shape[3]) if spec.kernels else None
    steps = [count_steps(drawn, len(images), epochs, batch_size) for drawn in hyperparameters]
    # Most steps first: the networks that still train are then always the first rows.
    rows = sorted(range(len(steps)), key=lambda row: -steps[row])
    drawn, steps = [hyperparameters[row] for row in rows], [steps[row] for row in rows]

    numbers = pack_networks(draw_start(spec, drawn, seed, images.dtype)).to(device)
    learning_rates, weight_decays = (
        numbers.new_tensor([getattr(one, name) for one in drawn]) for name in ("learning_rate", "weight_decay")
    )
    optimizer = OPTIMIZERS[drawn[0].optimizer](numbers, learning_rates, weight_decays)
    batches = _Batches(drawn, len(images), batch_size, seed, numbers)
    dropout = ChannelDropout(drawn, sum(spec.hidden_widths), seed, numbers)
    active = len(drawn)
    loss = LossGradient(spec, active, batch_size, image_size, numbers)
    for step in range(steps[0]):
        check()
        training = sum(count > step for count in steps)
        if training < active:
            progress.advance(active - training)
            active = training
            loss = LossGradient(spec, active, batch_size, image_size, numbers)
        chosen, shares = batches.take(step, active)
        seen = first_inputs.flatten(1).index_select(0, chosen.flatten()).view(*chosen.shape, *first_inputs.shape[1:])
        keep = dropout.draw(active, batch_size)
        optimizer.step(loss.compute(numbers[:active], seen, labels[chosen], shares, keep))
    progress.advance(active)
    return unpack_networks(spec, numbers[torch.tensor(rows, device=device).argsort()].cpu())


@torch.no_grad()
def measure_accuracy(
    spec: NetworkSpec, features: WeightSpaceFeatures, images: Tensor, labels: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """Return the fraction of pictures that each network classifies correctly.

    Args:
        spec: the architecture of all networks.
        features: the networks, raw weights ``(networks, 1, ...)``.
        images: ``(pictures, channels, height, width)``, for dense networks ``(pictures, n_0)``, on the device of the
            features.
        labels: class numbers ``(pictures,)``.
        chunk_size: the number of networks in one computation.

    Returns:
        fractions ``(networks,)``. That of a network whose weights are not finite has no meaning.

    Raises:
        UsageError: the pictures do not fit the spec.
    """
    correct = torch.zeros(features.batch, device=features.device)
    pictures = PICTURES_IN_CACHE if features.device.type == "cpu" else PICTURES_AT_ONCE
    for start in range(0, features.batch, chunk_size):
        chunk = slice(start, start + chunk_size)
        networks = features.select(chunk)
        for some, answers in zip(images.split(pictures), labels.split(pictures), strict=True):
            logits = run_networks(spec, networks, some)
            correct[chunk] += (logits.argmax(-1) == answers).sum(-1)
    return correct / len(labels)


class _Batches:
    """The pictures that every network sees at every step.

    All batches have the same size. The last batch of an epoch is filled up with repetitions of a picture, which do not
    count: the weight of a picture in the loss is 1 over the number of different pictures in its batch, and the weight
    of a repetition is 0.
    """

    def __init__(
        self, drawn: Sequence[Hyperparameters], num_images: int, batch_size: int, seed: int, like: Tensor
    ) -> None:
        self._drawn, self._num_images, self._seed = drawn, num_images, seed
        self._sizes = [one.subset_size(num_images) for one in drawn]
        self._per_epoch = [math.ceil(size / batch_size) for size in self._sizes]
        self._columns = torch.arange(batch_size, device=like.device)
        width = max(self._per_epoch) * batch_size
        self._orders = torch.zeros(len(drawn), width, dtype=torch.long, device=like.device)
        self._shares = like.new_zeros(len(drawn), width)
        for shares, size in zip(self._shares, self._sizes, strict=True):
            for batch in shares[:size].split(batch_size):
                batch.fill_(1 / len(batch))

    def take(self, step: int, active: int) -> tuple[Tensor, Tensor]:
        """Return the row numbers of a step's pictures and their weights in the loss, ``(active, batch_size)`` each."""
        firsts = [step % per_epoch * len(self._columns) for per_epoch in self._per_epoch[:active]]
        for row, first in enumerate(firsts):
            if first == 0:
                order = draw_order(self._drawn[row], self._num_images, step // self._per_epoch[row], self._seed)
                # The last picture is repeated: it is in the batch anyway, so no other one can make the loss overflow.
                self._orders[row] = order[-1]
                self._orders[row, : len(order)] = order
        columns = torch.tensor(firsts, device=self._columns.device)[:, None] + self._columns
        return self._orders[:active].gather(1, columns), self._shares[:active].gather(1, columns)


class ChannelDropout:
    """Dropout of whole hidden channels (for dense layers, of neurons), with a random stream for each network.

    Args:
        drawn: the hyperparameters of the networks, which hold the dropout rates.
        width: the number of hidden channels of one network, of all layers together.
        seed: the seed of the zoo.
        like: a tensor with the dtype and the device that the factors shall have.
    """

    def __init__(self, drawn: Sequence[Hyperparameters], width: int, seed: int, like: Tensor) -> None:
        self._rates = like.new_tensor([one.dropout for one in drawn])[:, None, None]
        self._streams = [generator(seed, "dropout", one.seed) for one in drawn]
        self._needed = any(one.dropout > 0 for one in drawn)
        self._width = width

    def draw(self, active: int, batch_size: int) -> Tensor | None:
        """Return the factors by which the hidden channels of the first ``active`` networks are multiplied in one step.

        Returns:
            ``(active, batch_size, width)``, each 0 or ``1 / (1 - rate)``; None if the rates of all networks are 0.
        """
        if not self._needed:
            return None
        rates = self._rates[:active]
        uniform = torch.empty(active, batch_size, self._width)
        for row, stream in zip(uniform, self._streams, strict=False):
            torch.rand(row.shape, generator=stream, out=row)
        return (uniform.to(rates.device) >= rates) / (1 - rates)
