"""A classifier that runs INRs on learned points and reads nothing but their outputs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import Functional
from mnfn_cli.nn.head import mlp_head
from mnfn_cli.nn.points import ProbePoints
from mnfn_cli.weightspace.distortion import distort
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.shared_inputs import run_on_shared_inputs
from mnfn_cli.weightspace.spec import NetworkSpec

POINT_RATE = 5.0
"""The learning rate of the points, in units of that of the head."""


class ProbeClassifier(Functional):
    """Classify the picture inside an INR by its outputs on learned points.

    The points start near a regular grid and are learned with an MLP that reads the outputs, in the order of the points.
    The logits depend on the function that a network computes and on nothing else. So no symmetry of the weights changes
    them, and networks of any hidden widths and any depth can be read.

    Args:
        spec: the weight space of the INRs.
        points: the number of learned points.
        hidden: the widths of the hidden layers of the MLP.
        dropout: the dropout probability of their units.
        distortion: in training each network's picture is moved, turned, stretched and sheared a little, by
            ``weightspace.distortion`` with this deviation; 0 for none.
        classes: the number of classes.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Raises:
        UsageError: the networks have convolutions, so that no single point is an input of theirs.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/probe", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        spec: NetworkSpec,
        points: int,
        hidden: Sequence[int],
        dropout: float,
        distortion: float,
        classes: int = 10,
    ) -> None:
        super().__init__()
        if spec.kernels:
            raise UsageError("probe", f"runs networks on points, and networks {spec} read pictures")
        self.spec, self.distortion = spec, distortion
        self.points = ProbePoints(points, spec.widths[0])
        self.head = mlp_head(points * spec.widths[-1], hidden, classes, dropout, nn.GELU)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits, ``(batch, classes)``."""
        if self.training and self.distortion:
            features = distort(features, self.distortion)
        logits: Tensor = self.head(self._outputs(features))
        return logits

    @torch.no_grad()
    def readable(self, features: WeightSpaceFeatures) -> Tensor:
        """Return whether each network's outputs on the points are finite, ``(batch,)``."""
        return self._outputs(features).isfinite().all(dim=1)

    def rate_factor(self, name: str) -> float:
        """Return the factor of the learning rate of a parameter: ``POINT_RATE`` for the points."""
        return POINT_RATE if name.startswith("points.") else 1.0

    def _outputs(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the outputs on all points, ``(batch, points * n_L)``."""
        return run_on_shared_inputs(self.spec, features, self.points()).outputs.flatten(1)
