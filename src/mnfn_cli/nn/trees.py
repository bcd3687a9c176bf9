"""Regression trees that are stored as plain arrays, and what they answer."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.nn.fitted import FittedBuffers

ROWS_AT_ONCE = 256


class Tree(NamedTuple):
    """One tree, in the order in which its nodes are visited: each node before its left subtree, that before the right.

    Args:
        feature: the number of the feature that a node compares, ``(nodes,)``; negative in a leaf.
        threshold: the node's left child is next for features up to this number, ``(nodes,)``.
        right: the number of the right child, ``(nodes,)``.
        value: the answer of a leaf, ``(nodes,)``.
    """

    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    value: np.ndarray


class StoredTrees(FittedBuffers):
    """Regression trees on features in float32, all in the same four arrays; none until ``store`` or loading.

    The left child of a node is the node after it. Thresholds are rounded down to float32, which changes no comparison
    with a number in float32. Answers are float64.
    """

    feature: Tensor
    threshold: Tensor
    following: Tensor
    values: Tensor
    roots: Tensor

    @property
    def stored(self) -> bool:
        """Whether there are trees."""
        return "roots" in self._buffers

    def store(self, trees: list[Tree], device: torch.device) -> None:
        """Register the arrays of trees as buffers on a device."""
        sizes = np.array([len(tree.feature) for tree in trees])
        starts = np.cumsum(sizes) - sizes
        feature = np.concatenate([tree.feature for tree in trees])
        leaf = feature < 0
        right = np.concatenate([start + tree.right for start, tree in zip(starts, trees, strict=True)])
        # A leaf names its answer where other nodes name their right child.
        following = np.where(leaf, np.cumsum(leaf) - 1, right)
        threshold = np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees]))
        arrays = {
            "feature": np.where(leaf, -1, feature).astype(np.int16),
            "threshold": _rounded_down(threshold),
            "following": following.astype(np.int32),
            "values": np.concatenate([tree.value for tree in trees])[leaf].astype(np.float64),
            "roots": starts.astype(np.int32),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array).to(device))

    def forward(self, features: Tensor) -> Tensor:
        """Return the answer of every tree, ``(rows, trees)``.

        Args:
            features: ``(rows, numbers)`` in float32, finite.
        """
        return torch.cat([self._answers(rows) for rows in features.split(ROWS_AT_ONCE)])

    def _answers(self, features: Tensor) -> Tensor:
        node = self.roots.long().expand(len(features), -1)
        while (inner := (feature := self.feature[node]) >= 0).any():
            left = features.gather(1, feature.clamp_min(0).long()) <= self.threshold[node]
            node = torch.where(inner, torch.where(left, node + 1, self.following[node].long()), node)
        return self.values[self.following[node].long()]


def _rounded_down(numbers: np.ndarray) -> np.ndarray:
    """Return the largest float32 that is no larger than each float64."""
    nearest = numbers.astype(np.float32)
    return np.where(nearest > numbers, np.nextafter(nearest, np.float32(-np.inf)), nearest)
