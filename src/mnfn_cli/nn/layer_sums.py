"""Sums and products of the weights of a layer: all that invariant statistics read of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mnfn_cli.nn.quantiles import quantiles


@dataclass(frozen=True)
class LayerSums:
    """Sums and products of a weight ``(batch, out, in, kernel)``.

    Args:
        rows: the products of its rows, ``(batch, out, out)``.
        columns: the products of its columns, each all kernel entries of an input channel, ``(batch, in, in)``.
        kernels: the products of kernel entries, ``(batch, kernel, kernel)``.
        smaller: the products of the rows of the weight as a matrix ``(out, in * kernel)``, or of the columns of this
            matrix if these are fewer.
        paths: the same of the product of this weight, its kernel entries added up, and the weight of the layer before;
            ``smaller`` in the first layer.
        absolute: the sums of the absolute values of kernel entries, ``(batch, out, in)``.
        mean, spread: the mean and the standard deviation of all entries, or of their absolute values, ``(batch, 1)``.
        levels: their quantiles, ``(batch, quantiles)``.
    """

    rows: Tensor
    columns: Tensor
    kernels: Tensor
    smaller: Tensor
    paths: Tensor
    absolute: Tensor
    mean: Tensor
    spread: Tensor
    levels: Tensor

    @classmethod
    def of(cls, weight: Tensor, before: Tensor | None, flips: bool) -> "LayerSums":
        """Compute them.

        Args:
            weight: the weight, ``(batch, out, in, kernel)``.
            before: the weight of the layer before; None for the first layer.
            flips: whether the signs of entries can flip, so that mean, deviation and quantiles are those of their
                absolute values.
        """
        absolute, matrix, kernels = weight.abs(), weight.flatten(2), weight.flatten(1, 2)
        columns = weight.transpose(1, 2).flatten(2)
        smaller = _smaller_gram(matrix)
        entries = (absolute if flips else weight).flatten(1)
        mean = entries.mean(dim=1, keepdim=True)
        return cls(
            rows=smaller if smaller.shape[1] == matrix.shape[1] else matrix @ matrix.transpose(1, 2),
            columns=columns @ columns.transpose(1, 2),
            kernels=kernels.transpose(1, 2) @ kernels,
            smaller=smaller,
            paths=smaller if before is None else _smaller_gram(weight.sum(dim=3) @ before.flatten(2)),
            absolute=absolute.sum(dim=3),
            mean=mean,
            spread=(entries - mean).square().mean(dim=1, keepdim=True).sqrt(),
            levels=quantiles(entries),
        )

    @classmethod
    def cat(cls, parts: Sequence["LayerSums"]) -> "LayerSums":
        """Return the sums of several batches as those of one."""
        return cls(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)})


def norms(products: Tensor) -> Tensor:
    """Return the norms of vectors from their products, ``(batch, n, n)``."""
    return products.diagonal(dim1=1, dim2=2).sqrt()


def _smaller_gram(matrix: Tensor) -> Tensor:
    """Return the products of the rows of ``(batch, rows, columns)``, or of the columns if these are fewer."""
    turned = matrix.transpose(1, 2)
    return matrix @ turned if matrix.shape[1] <= matrix.shape[2] else turned @ matrix
