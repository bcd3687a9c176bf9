"""A functional of one's own: ridge regression on statistics of the weights, fitted in closed form."""

from typing import Literal

import torch
from torch.nn.functional import pad

from mnfn_cli.models import ClosedFormFunctional
from mnfn_cli.nn import TensorStatistics
from mnfn_cli.recipe import Model, declare_model


class Ridge(ClosedFormFunctional):
    def __init__(self, spec, penalty):
        super().__init__()
        self.statistics, self.penalty = TensorStatistics(spec), penalty

    def fit(self, features, targets):
        x = self.statistics(features)
        self.register_buffer("mean", x.mean(dim=0))
        self.register_buffer("deviation", x.std(dim=0).clamp_min(1e-6))
        z = pad((x - self.mean) / self.deviation, (0, 1), value=1.0)
        gram = z.T @ z + self.penalty * torch.eye(z.shape[1], dtype=z.dtype)
        self.register_buffer("weights", torch.linalg.solve(gram, z.T @ targets))

    def forward(self, features):
        z = pad((self.statistics(features) - self.mean) / self.deviation, (0, 1), value=1.0)
        return (z @ self.weights).clamp(0, 1)


class RidgeOptions(Model):
    built_by = Ridge
    closed_form = True
    name: Literal["ridge"]
    penalty: float = 1.0


declare_model("generalization", RidgeOptions)
