"""Fit many SIRENs side by side, each to its own picture, with gradients written out by hand.

Pixels stand in the last axis, so that a layer of all networks is one batched product of its weights as they are,
``(networks, out, in + 1) @ (networks, in + 1, pixels)``: the bias is the last column, and the last row of its input
is all ones. Fresh memory for every intermediate result would cost as much as the products, so the backward pass
works in buffers that are used again and again.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import pixel_grid
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.sines import write_sine_and_cosine

BUFFER_NUMBERS = {"cpu": 2**18, "cuda": 2**26}
"""Numbers in one layer of a share: enough to hide the cost of a call, few enough to stay in a core's cache."""
SHARES = 8
"""Shares that ``fit_networks`` should be given in one call, for the threads to take one after another."""


def draw_siren(spec: NetworkSpec, streams: list[torch.Generator]) -> WeightSpaceFeatures:
    """Draw the start of one SIREN from each random stream.

    Weights are uniform, of the first layer in ``+-1 / n_0``, of the others in ``+-sqrt(6 / n_in) / omega`` (Sitzmann et
    al. 2020, section 3.2); biases are torch's for ``Linear``, uniform in ``+-1 / sqrt(n_in)``, as in their code.

    Returns:
        weights ``(len(streams), 1, out, in)`` and biases ``(len(streams), 1, out)``.
    """
    start = WeightSpaceFeatures.zeros(spec, len(streams))
    for layer, (weight, bias) in enumerate(zip(start.weights, start.biases, strict=True)):
        n_in = spec.widths[layer]
        bound = math.sqrt(6 / n_in) / spec.omega if layer else 1 / n_in
        for row, stream in enumerate(streams):
            weight[row].uniform_(-bound, bound, generator=stream)
            bias[row].uniform_(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in), generator=stream)
    return start


def networks_at_once(spec: NetworkSpec, num_pixels: int, device: torch.device | str) -> int:
    """Return how many networks ``fit_networks`` should be given in one call."""
    return SHARES * _share(spec, num_pixels, torch.device(device))


def _share(spec: NetworkSpec, num_pixels: int, device: torch.device) -> int:
    """Return how many networks one thread fits in one computation."""
    return max(BUFFER_NUMBERS[device.type] // (max(spec.widths) * num_pixels), 1)


@torch.no_grad()
def fit_networks(
    spec: NetworkSpec,
    start: WeightSpaceFeatures,
    pictures: Tensor,
    *,
    steps: int,
    learning_rate: float,
    check: Callable[[], None] = lambda: None,
) -> WeightSpaceFeatures:
    """Minimise every network's mean squared error on all pixels of its picture, with Adam, in batched computations.

    Each network ends, to rounding, where a plain loop ends: one never touches another, and one that diverges comes
    back as it is, with numbers that are not finite. On a CPU every thread fits a share of the networks by itself, which
    keeps the cores busier than sharing out each product; what comes out does not depend on the number of threads.

    Args:
        spec: SIRENs ``2 -> ... -> channels``.
        start: raw weights ``(networks, 1, ...)``; their dtype and device are those of the computation.
        pictures: ``(networks, channels, height, width)``, in the range that the networks are to draw.
        steps: of Adam, each on all pixels.
        learning_rate: of Adam, constant.
        check: called before every step; what it raises ends the fit.

    Returns:
        raw weights ``(networks, 1, ...)``, on the device of ``start``.
    """
    pictures = pictures.to(start.device, start.dtype)
    share = _share(spec, pictures.shape[2] * pictures.shape[3], start.device)
    shares = [slice(first, first + share) for first in range(0, start.batch, share)]

    def fit(rows: slice) -> WeightSpaceFeatures:
        with torch.no_grad():  # which every thread has to say for itself
            return _fit_share(spec, start.select(rows), pictures[rows], steps, learning_rate, check)

    threads = torch.get_num_threads()
    if start.device.type != "cpu" or min(threads, len(shares)) == 1:
        return WeightSpaceFeatures.cat([fit(rows) for rows in shares])
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            return WeightSpaceFeatures.cat(list(pool.map(fit, shares)))
        finally:
            # A thread's own setting reaches the library of matrix products that all threads share.
            torch.set_num_threads(threads)


def _fit_share(
    spec: NetworkSpec,
    start: WeightSpaceFeatures,
    pictures: Tensor,
    steps: int,
    learning_rate: float,
    check: Callable[[], None],
) -> WeightSpaceFeatures:
    parameters = [
        torch.cat([weight[:, 0], bias[:, 0, :, None]], dim=2)
        for weight, bias in zip(start.weights, start.biases, strict=True)
    ]
    # Adam moves every number by itself, so one optimizer of stacked networks is as many optimizers of single ones.
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    loss = _LossGradient(spec, pictures)
    for _ in range(steps):
        check()
        for parameter, gradient in zip(parameters, loss.compute(parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
    return WeightSpaceFeatures(
        [parameter[:, None, :, :-1].contiguous() for parameter in parameters],
        [parameter[:, None, :, -1].contiguous() for parameter in parameters],
    )


class _LossGradient:
    """The gradient of the mean squared error of many networks, each on a picture of its own.

    Args:
        spec: the networks.
        pictures: ``(networks, channels, height, width)``; their dtype and device are those of the computation.
    """

    def __init__(self, spec: NetworkSpec, pictures: Tensor) -> None:
        networks, height, width = pictures.shape[0], *pictures.shape[2:]
        pixels = height * width
        self._omega = spec.omega
        self._targets = pictures.flatten(2).contiguous()
        grid = pixel_grid((height, width), dtype=pictures.dtype, device=pictures.device)
        self._places = torch.cat([grid, grid.new_ones(pixels, 1)], dim=1).T.contiguous()
        # What enters each layer but the first, with the row of ones; its derivative, the cosine; and what leaves it.
        self._inputs = [pictures.new_ones(networks, n + 1, pixels) for n in spec.hidden_widths]
        self._cosines = [pictures.new_empty(networks, n, pixels) for n in spec.hidden_widths]
        self._outputs = [pictures.new_empty(networks, n, pixels) for n in spec.widths[1:]]
        self._gradients = [
            pictures.new_empty(networks, n_out, n_in + 1)
            for n_in, n_out in zip(spec.widths[:-1], spec.widths[1:], strict=True)
        ]

    def compute(self, parameters: list[Tensor]) -> list[Tensor]:
        """Return the gradient of ``mean((network - picture)^2)``, over pixels and channels, of every network.

        With ``z = omega (W x + b)`` of a hidden layer, ``x' = sin z`` and the gradient ``g'`` of the next ``W x + b``,
        that of this one is ``g = omega cos z * (W'^T g')``, and the weights' is ``g x^T``.

        Args:
            parameters: a weight and its bias side by side for each layer, ``(networks, out, in + 1)``.

        Returns:
            the same shapes; valid until the next call.
        """
        last = len(parameters) - 1
        # All networks see the same places, so their first layers are one product.
        first = self._outputs[0].flatten(0, 1)
        torch.addmm(first, parameters[0].flatten(0, 1), self._places, beta=0, alpha=self._omega, out=first)
        for i in range(last):
            write_sine_and_cosine(self._outputs[i], self._inputs[i][:, :-1], self._cosines[i])
            scale = self._omega if i + 1 < last else 1.0
            _product(parameters[i + 1], self._inputs[i], self._outputs[i + 1], scale)

        gradient = self._outputs[last].sub_(self._targets).mul_(2 / self._targets[0].numel())
        for i in range(last, 0, -1):
            torch.bmm(gradient, self._inputs[i - 1].transpose(1, 2), out=self._gradients[i])
            weights = parameters[i][:, :, :-1].transpose(1, 2)
            gradient = _product(weights, gradient, self._outputs[i - 1], self._omega).mul_(self._cosines[i - 1])
        torch.mm(gradient.flatten(0, 1), self._places.T, out=self._gradients[0].flatten(0, 1))
        return self._gradients


def _product(a: Tensor, b: Tensor, out: Tensor, scale: float) -> Tensor:
    """Write ``scale * a @ b`` to ``out``; with ``beta`` 0 nothing of what was there enters, not even a NaN."""
    return torch.baddbmm(out, a, b, beta=0, alpha=scale, out=out)
