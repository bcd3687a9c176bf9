"""A test set that is learned: inputs with soft answers, on which a good network agrees with the answers."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.floors import divided_by_spread
from mnfn_cli.nn.inputs import SmoothProbes
from mnfn_cli.nn.quantiles import QUANTILES, quantiles
from mnfn_cli.weightspace.spec import NetworkSpec

CLIPPED = 1e-6
"""Scores are kept this far from 0 and 1 before their logits are taken."""

RAMP = 0.05
"""An answer counts as right to a degree that rises from 0 to 1 while its margin does from -RAMP / 2 to RAMP / 2."""


class LearnedProbes(nn.Module):
    """``K`` learned inputs with soft answers ``q_k = softmax(u_k)``: a network that agrees with them is accurate.

    The outputs of a network on the inputs, minus their mean over classes, are ``z_k``, and ``sd`` is their root mean
    square over inputs and classes. There are two readings of them, ``p_k = softmax(exp(t_0) z_k)`` and
    ``p_k = softmax(exp(t_1) z_k / sd)``. In each, ``f_k = sum_c p_kc q_kc`` is the agreement on input ``k``, and the
    score is ``sum_k a_k f_k`` with learned weights ``a`` that sum to 1. The predicted accuracy is
    ``sigmoid(A s + B(s))`` of the logits ``s`` of both scores, ``A`` linear and ``B`` an MLP with 16 hidden units.

    Args:
        spec: the weight space of the networks, which are classifiers.
        count: the number ``K`` of inputs.
        asked: the number of inputs that ``draw`` chooses at random for a training step.
        noise: the deviation of the normal noise that ``draw`` adds to their coefficients.
        input_size: (height, width) of the networks' pictures where the specification does not know it.
        bounded: whether the prediction is in [0, 1], the sigmoid, or any number, its argument.

    Attributes:
        numbers: the length of the summary.

    Shapes:
        ``predict`` maps outputs on the inputs, ``(batch, inputs, classes)``, to ``(batch,)``; ``summary`` to
        ``(batch, numbers)``.

    Raises:
        UsageError: the networks have one output, or the size of their pictures is unknown.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import LearnedProbes
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> from mnfn_cli import run_networks
    >>> probes = LearnedProbes(spec, count=12, asked=6, noise=0.0, input_size=(16, 16))
    >>> outputs = run_networks(spec, networks, probes.inputs(torch.float32))
    >>> probes.predict(outputs).shape, probes.summary(outputs).shape == (2, probes.numbers)
    (torch.Size([2]), True)
    """

    def __init__(
        self,
        spec: NetworkSpec,
        count: int,
        asked: int,
        noise: float,
        input_size: Sequence[int] | None = None,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        classes = spec.widths[-1]
        if classes < 2:
            raise UsageError("model", f"reads the classes that a network answers, and networks {spec} have one output")
        self.bounded = bounded
        self.classes, self.count, self.asked, self.noise = classes, count, min(asked, count), noise
        self.inputs = SmoothProbes(spec, count, input_size)
        answers = torch.zeros(-(-count // classes), classes, classes)
        answers.diagonal(dim1=1, dim2=2).fill_(2.0)
        self.answers = nn.Parameter(answers.flatten(0, 1)[:count])
        self.weights = nn.Parameter(torch.zeros(2, count))
        self.temperatures = nn.Parameter(torch.tensor([0.0, 1.0]))
        self.straight = nn.Linear(2, 1)
        self.bent = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.numbers = 6 + 3 * len(QUANTILES) + 3 * classes

    def draw(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return random inputs with noise for a training step, ``(asked, ...)``, and their numbers ``(asked,)``."""
        chosen = torch.randperm(self.count, device=self.weights.device)[: self.asked]
        return self.inputs(dtype, chosen, self.noise), chosen

    def predict(self, outputs: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return predictions, such as accuracies, ``(batch,)``, in the dtype of the parameters.

        Args:
            outputs: the networks' outputs on the inputs, ``(batch, inputs, classes)``.
            chosen: the numbers of the inputs; all by default.
        """
        z, spread = divided_by_spread(outputs - outputs.mean(dim=2, keepdim=True), outputs)
        scores = self._scores(self._agreements(self._readings(z, spread), chosen), chosen).to(self.weights.dtype)
        predicted: Tensor = (self.straight(scores) + self.bent(scores))[:, 0]
        return torch.sigmoid(predicted) if self.bounded else predicted

    def summary(self, outputs: Tensor) -> Tensor:
        """Return numbers about the networks' answers to all inputs, ``(batch, numbers)``.

        They are the logits of both scores; log sd; the share of inputs answered as the learned answer says; quantiles
        over inputs of both agreements and of the margin of the right class, in sd; the mean margin; the agreement and
        the share by class, each sorted; the mean entropy; and the mean probabilities of the classes, sorted. Shares are
        made smooth by a short ramp, so that rounding cannot move them by a whole input.

        Args:
            outputs: the networks' outputs on all inputs, ``(batch, inputs, classes)``.
        """
        z, spread = divided_by_spread(outputs - outputs.mean(dim=2, keepdim=True), outputs)
        readings = self._readings(z, spread)
        agreements = self._agreements(readings)
        right = F.one_hot(self.answers.argmax(dim=1), self.classes).to(z)
        margin = (z * right).sum(dim=2) - (z - 1e9 * right).amax(dim=2)
        share = (margin / RAMP + 0.5).clamp(0, 1)
        members = right / right.sum(dim=0).clamp_min(1)
        probabilities = readings[1]
        entropy = torch.special.entr(probabilities).sum(dim=2).mean(dim=1)
        columns = [
            self._scores(agreements),
            torch.stack([spread.log(), share.mean(dim=1), margin.mean(dim=1), entropy], dim=1),
            *map(quantiles, (*agreements, margin)),
            (agreements[1] @ members).sort(dim=1).values,
            (share @ members).sort(dim=1).values,
            probabilities.mean(dim=1).sort(dim=1).values,
        ]
        return torch.cat(columns, dim=1)

    def expected(self) -> tuple[Tensor, Tensor]:
        """Return the learned answers ``(inputs, classes)`` and the weights ``(inputs,)`` of the second reading."""
        return self.answers.double().softmax(dim=1), self.weights[1].double().softmax(dim=0)

    def verdicts(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the networks' probabilities ``(batch, inputs, classes)`` and agreements, in the second reading.

        Args:
            outputs: the networks' outputs on all inputs, ``(batch, inputs, classes)``.
        """
        readings = self._readings(*divided_by_spread(outputs - outputs.mean(dim=2, keepdim=True), outputs))
        return readings[1], self._agreements(readings)[1]

    def _readings(self, z: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        absolute, relative = self.temperatures.to(z.dtype).exp()
        return (absolute * z * spread[:, None, None]).softmax(dim=2), (relative * z).softmax(dim=2)

    def _agreements(self, readings: tuple[Tensor, Tensor], chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        answers = self.answers if chosen is None else self.answers[chosen]
        expected = answers.to(readings[0].dtype).softmax(dim=1)
        first, second = ((reading * expected).sum(dim=2) for reading in readings)
        return first, second

    def _scores(self, agreements: tuple[Tensor, Tensor], chosen: Tensor | None = None) -> Tensor:
        weights = self.weights if chosen is None else self.weights[:, chosen]
        shares = weights.to(agreements[0].dtype).softmax(dim=1)
        scores = torch.stack([found @ share for found, share in zip(agreements, shares, strict=True)], dim=1)
        return torch.logit(scores, CLIPPED)
