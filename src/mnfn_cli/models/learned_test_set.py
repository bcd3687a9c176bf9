"""A functional that runs networks on learned inputs and compares their outputs with learned answers."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.models.functional import Functional, LearnedInputs
from mnfn_cli.nn.inputs import runs_on
from mnfn_cli.nn.questions import LearnedProbes
from mnfn_cli.weightspace.canonical import form_up_to_sign
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.shared_inputs import networks_at_once, run_on_shared_inputs
from mnfn_cli.weightspace.spec import NetworkSpec

HEAD_RATE = 0.06
"""The learning rate of temperatures and of the head, in units of that of inputs, answers and weights."""


class LearnedTestSet(Functional):
    """Predict accuracy by the agreement of a network with learned answers to learned inputs (``LearnedProbes``).

    Several independent members are trained beside each other, each by its own loss; the prediction is their mean. It
    depends on the function that a network computes and on nothing else, so no symmetry of the weights changes it.

    Args:
        spec: the weight space of the networks.
        members: the number of members.
        questions: the number of learned inputs of each member.
        asked: the number of inputs of each member in a training step, chosen at random.
        noise: the deviation of the noise on the coefficients of the inputs in training.
        input_size: (height, width) of the networks' pictures where the specification does not know it.
        bounded: whether predictions are in [0, 1] or any numbers.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``. The output is ``(batch,)``
        and in training ``(batch, members)``, in [0, 1] if it is bounded.

    Raises:
        UsageError: the networks have one output, or the size of their pictures is unknown.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, input_size=(16, 16))
    >>> model = build_model("generalization/learned-test-set", spec)
    >>> import torch
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
    >>> model.eval()(networks).shape
    torch.Size([2])
    """

    input_dtype = torch.float64

    def __init__(
        self,
        spec: NetworkSpec,
        members: int,
        questions: int,
        asked: int,
        noise: float,
        input_size: Sequence[int] | None = None,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.members = nn.ModuleList(
            LearnedProbes(spec, questions, asked, noise, input_size, bounded) for _ in range(members)
        )

    @property
    def numbers(self) -> int:
        """The length of the summary."""
        return int(self._all[0].numbers)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return predicted accuracies, ``(batch,)``; in training those of each member, ``(batch, members)``."""
        if not self.training:
            found = [[m.predict(z) for m, z in zip(self._all, part, strict=True)] for part in self._outputs(features)]
            return torch.cat([torch.stack(part).mean(dim=0) for part in found])
        dtype = self._all[0].weights.dtype
        drawn = [member.draw(dtype) for member in self._all]
        with torch.no_grad():
            canonical = form_up_to_sign(features, self.spec)[0].to(dtype=dtype)
        inputs = torch.cat([inputs for inputs, _ in drawn])
        outputs = run_on_shared_inputs(self.spec, canonical, inputs).outputs.split([len(x) for x, _ in drawn], dim=1)
        return torch.stack(
            [m.predict(z, chosen) for m, z, (_, chosen) in zip(self._all, outputs, drawn, strict=True)], dim=1
        )

    @torch.no_grad()
    def summary(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the mean over members of ``LearnedProbes.summary``, ``(batch, numbers)``, in float64."""
        found = [[m.summary(z) for m, z in zip(self._all, part, strict=True)] for part in self._outputs(features)]
        return torch.cat([torch.stack(part).mean(dim=0) for part in found])

    @torch.no_grad()
    def readable(self, features: WeightSpaceFeatures) -> Tensor:
        """Return whether each network can be run, ``(batch,)``."""
        return runs_on(self.spec, features, self._all[0].inputs)

    @torch.no_grad()
    def learned_inputs(self, features: WeightSpaceFeatures) -> LearnedInputs:
        """Return the inputs of all members, whose weights are shares in the mean of the members' scores."""
        parts = [[m.verdicts(z) for m, z in zip(self._all, part, strict=True)] for part in self._outputs(features)]
        answers, weights = zip(*(member.expected() for member in self._all), strict=True)
        return LearnedInputs(
            inputs=torch.cat([member.inputs.pictures(torch.float64) for member in self._all]),
            answers=torch.cat(answers),
            weights=torch.cat(weights) / len(self._all),
            responses=torch.cat([torch.cat([responses for responses, _ in part], dim=1) for part in parts]),
            agreements=torch.cat([torch.cat([agreements for _, agreements in part], dim=1) for part in parts]),
        )

    def rate_factor(self, name: str) -> float:
        """Return the factor of the learning rate of a parameter: ``HEAD_RATE`` for temperatures and the head."""
        part = name.split(".")[2]
        return 1.0 if part in ("inputs", "answers", "weights") else HEAD_RATE

    @property
    def _all(self) -> list[LearnedProbes]:
        return [member for member in self.members if isinstance(member, LearnedProbes)]

    def _outputs(self, features: WeightSpaceFeatures) -> Iterator[tuple[Tensor, ...]]:
        """Yield the outputs of some networks at a time on all inputs of each member, in float64."""
        sets = [member.inputs(torch.float64) for member in self._all]
        inputs = torch.cat(sets)
        for block in self._blocks(features, inputs):
            canonical = form_up_to_sign(block.to(dtype=torch.float64), self.spec)[0]
            outputs = run_on_shared_inputs(self.spec, canonical, inputs).outputs
            yield outputs.split([len(inputs) for inputs in sets], dim=1)

    def _blocks(self, features: WeightSpaceFeatures, inputs: Tensor) -> Iterator[WeightSpaceFeatures]:
        """Yield as many networks at a time as should be run together; an exported program runs all of them."""
        if torch.compiler.is_exporting():
            yield features
            return
        size = networks_at_once(self.spec, inputs)
        for start in range(0, features.batch, size):
            yield features.select(slice(start, start + size))
