"""A head of regression trees: fitted by scikit-learn, stored as arrays, read without it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mnfn_cli.nn.trees import StoredTrees, Tree

GRID = 1e-4
"""The step to whose multiples features are rounded before trees read them."""


@dataclass(frozen=True)
class ForestOptions:
    """The options of ``Forest``.

    Args:
        trees: the number of extremely randomised trees.
        tree_leaf: the smallest number of networks in a leaf of these.
        tree_features: the share of the features among which each of their nodes chooses.
        rounds: the number of rounds of gradient boosting.
        round_rate: the learning rate of these.
        round_leaves: the largest number of leaves of a boosted tree.
        round_leaf: the smallest number of networks in a leaf of these.
        round_penalty: the penalty on the squares of their leaves' values.
    """

    trees: int = 300
    tree_leaf: int = 2
    tree_features: float = 1 / 3
    rounds: int = 200
    round_rate: float = 0.05
    round_leaves: int = 12
    round_leaf: int = 15
    round_penalty: float = 1.0


class Forest(nn.Module):
    """The mean of a forest of extremely randomised trees and of gradient-boosted trees on histograms.

    Both read the features on a grid (``on_grid``) and give what scikit-learn's ``ExtraTreesRegressor`` and
    ``HistGradientBoostingRegressor`` would, to the last bit. Nothing of scikit-learn is stored.

    Args:
        options: sizes of trees and forests.
        seed: the seed of both fits.
    """

    def __init__(self, options: ForestOptions, seed: int) -> None:
        super().__init__()
        self.options, self.seed = options, seed
        self.forest, self.boosted = StoredTrees(), StoredTrees()

    @property
    def fitted(self) -> bool:
        """Whether there are trees."""
        return self.forest.stored

    def fit(self, features: Tensor, targets: Tensor) -> None:
        """Fit both to features ``(networks, numbers)`` and targets ``(networks,)``, on one thread of the CPU."""
        from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        x, y = on_grid(features).cpu().numpy(), targets.double().cpu().numpy()
        chosen = self.options
        forest = ExtraTreesRegressor(
            chosen.trees,
            min_samples_leaf=chosen.tree_leaf,
            max_features=chosen.tree_features,
            random_state=self.seed,
            n_jobs=1,
        )
        boosted = HistGradientBoostingRegressor(
            max_iter=chosen.rounds,
            learning_rate=chosen.round_rate,
            max_leaf_nodes=chosen.round_leaves,
            min_samples_leaf=chosen.round_leaf,
            l2_regularization=chosen.round_penalty,
            early_stopping=False,
            random_state=self.seed,
        )
        with threadpool_limits(1):
            forest.fit(x, y)
            boosted.fit(x, y)
        self.take(forest, boosted, features.device)

    def take(self, forest: "object", boosted: "object", device: torch.device) -> None:
        """Store the trees of a fitted ``ExtraTreesRegressor`` and ``HistGradientBoostingRegressor`` as arrays."""
        self.forest.store(list(map(_of_forest, forest.estimators_)), device)  # type: ignore[attr-defined]
        rounds = [_of_boosting(round_[0].nodes) for round_ in boosted._predictors]  # type: ignore[attr-defined]
        self.boosted.store(rounds, device)
        start = np.asarray(boosted._baseline_prediction, dtype=np.float64).reshape(1)  # type: ignore[attr-defined]
        self.boosted.register_buffer("start", torch.from_numpy(start).to(device))

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean of both predictions, ``(rows,)`` in float64; NaN where a feature is not finite.

        Args:
            features: ``(rows, numbers)``.
        """
        x = on_grid(features)
        known = x.isfinite().all(dim=1)
        both = (self.averaged(x) + self.summed(x)) / 2
        return torch.where(known, both, torch.nan)

    def averaged(self, x: Tensor) -> Tensor:
        """Return the mean over the extremely randomised trees, added up in their order, ``(rows,)``."""
        return _folded(self.forest(x), torch.zeros(len(x), dtype=torch.float64, device=x.device)) / self.options.trees

    def summed(self, x: Tensor) -> Tensor:
        """Return the sum of the boosted trees and their start, added up in their order, ``(rows,)``."""
        start: Tensor = self.boosted.get_buffer("start")
        return _folded(self.boosted(x), start.expand(len(x)))


def on_grid(features: Tensor) -> Tensor:
    """Return features rounded to multiples of ``GRID``, in float32.

    The thresholds of boosted trees may be values of training networks. Without the grid, the smallest rounding error
    could put such a network on the other side.
    """
    return ((features.double() / GRID).round() * GRID).float()


def _folded(answers: Tensor, start: Tensor) -> Tensor:
    """Add the columns of ``(rows, trees)`` to ``start`` one after another, so that rounding is scikit-learn's."""
    for column in answers.unbind(dim=1):
        start = start + column
    return start


def _of_forest(estimator: "object") -> Tree:
    tree = estimator.tree_  # type: ignore[attr-defined]
    return Tree(
        np.where(tree.children_left < 0, -1, tree.feature), tree.threshold, tree.children_right, tree.value[:, 0, 0]
    )


def _of_boosting(nodes: np.ndarray) -> Tree:
    feature = np.where(nodes["is_leaf"] == 1, -1, nodes["feature_idx"].astype(np.int64))
    return Tree(feature, nodes["num_threshold"], nodes["right"].astype(np.int64), nodes["value"])
