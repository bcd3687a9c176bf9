"""NP and HNP entry by entry, straight from their formulas: slow, and plain to read. It reads a fast layer's maps."""

import torch

from mnfn_cli.weightspace.features import WeightSpaceFeatures


class Entries:
    """The vectors that the formulas name, for one network; layers and neurons count from 1 and 0."""

    def __init__(self, features, row):
        self.weights = [weight[row] for weight in features.weights]
        self.biases = [bias[row] for bias in features.biases]
        self.layers = len(self.weights)

    def W(self, i, j, k):  # noqa: N802
        return self.weights[i - 1][:, j, k].flatten()

    def b(self, i, j):
        return self.biases[i - 1][:, j]

    def outputs(self, i):
        return range(self.weights[i - 1].shape[1])

    def inputs(self, i):
        return range(self.weights[i - 1].shape[2])

    def row(self, i, k):
        return torch.stack([self.W(i, j, k) for j in self.outputs(i)]).mean(dim=0)

    def col(self, i, j):
        return torch.stack([self.W(i, j, k) for k in self.inputs(i)]).mean(dim=0)

    def all(self, i):
        return torch.stack([self.W(i, j, k) for j in self.outputs(i) for k in self.inputs(i)]).mean(dim=0)

    def m(self, i):
        return torch.stack([self.b(i, j) for j in self.outputs(i)]).mean(dim=0)

    def scalars(self):
        numbers = range(1, self.layers + 1)
        return torch.cat([*(self.all(i) for i in numbers), *(self.m(i) for i in numbers)])

    def from_inputs(self, j):
        """W(1)[j, :]."""
        return torch.cat([self.W(1, j, k) for k in self.inputs(1)])

    def to_outputs(self, k):
        """W(L)[:, k]."""
        return torch.cat([self.W(self.layers, j, k) for j in self.outputs(self.layers)])


def slow_np(layer, features):
    """Apply an NPLinear."""

    def at_inputs(x, i, k):
        return torch.cat([x.row(i, k), *([x.col(i - 1, k), x.b(i - 1, k)] if i > 1 else [])])

    def at_outputs(x, i, j):
        return torch.cat([x.col(i, j), x.b(i, j), *([x.row(i + 1, j)] if i < x.layers else [])])

    def weight(x, i, j, k):
        n = i - 1
        return (
            layer.entry[n](x.W(i, j, k))
            + layer.weight_scalars[n](x.scalars())
            + layer.weight_inputs[n](at_inputs(x, i, k))
            + layer.weight_outputs[n](at_outputs(x, i, j))
        )

    def bias(x, i, j):
        return layer.bias_outputs[i - 1](at_outputs(x, i, j)) + layer.bias_scalars[i - 1](x.scalars())

    return _assemble(layer, features, weight, bias)


def slow_hnp(layer, features):
    """Apply an HNPLinear."""

    def glob(x):
        L = x.layers
        return torch.cat(
            [
                x.scalars(),
                *(x.row(1, k) for k in x.inputs(1)),
                *(x.col(L, j) for j in x.outputs(L)),
                *(x.b(L, j) for j in x.outputs(L)),
            ]
        )

    def first(x, j):
        return torch.cat([x.from_inputs(j), x.row(2, j), x.b(1, j), *([x.to_outputs(j)] if x.layers == 2 else [])])

    def at_inputs(x, i, k):
        return torch.cat([x.row(i, k), x.col(i - 1, k), x.b(i - 1, k), *([x.from_inputs(k)] if i == 2 else [])])

    def at_outputs(x, i, j):
        return torch.cat([x.col(i, j), x.b(i, j), x.row(i + 1, j), *([x.to_outputs(j)] if i == x.layers - 1 else [])])

    def last(x, k):
        L = x.layers
        return torch.cat([x.to_outputs(k), x.col(L - 1, k), *([x.from_inputs(k)] if L == 2 else [])])

    def weight(x, i, j, k):
        if i == 1:
            own, other = layer.first_weight
            return _part(own(first(x, j)) + other(glob(x)), k, len(x.inputs(1)))
        if i == x.layers:
            own, other = layer.last_weight
            return _part(own(last(x, k)) + other(glob(x)), j, len(x.outputs(i)))
        entry, of_glob, of_inputs, of_outputs = layer.middle_weights[i - 2]
        spread = of_glob(glob(x)) + of_inputs(at_inputs(x, i, k)) + of_outputs(at_outputs(x, i, j))
        return entry(x.W(i, j, k)) + spread

    def bias(x, i, j):
        if i == x.layers:
            return _part(layer.last_bias(glob(x)), j, len(x.outputs(i)))
        own, other = layer.first_bias if i == 1 else layer.middle_biases[i - 2]
        return own(first(x, j) if i == 1 else at_outputs(x, i, j)) + other(glob(x))

    return _assemble(layer, features, weight, bias)


def _part(vector, number, count):
    return vector.view(count, -1)[number]


def _assemble(layer, features, weight, bias):
    weights = [w.new_zeros(w.shape[0], layer.out_channels, *w.shape[2:]) for w in features.weights]
    biases = [b.new_zeros(b.shape[0], layer.out_channels, b.shape[2]) for b in features.biases]
    for row in range(features.batch):
        x = Entries(features, row)
        for i in range(1, x.layers + 1):
            kernel = weights[i - 1].shape[4:]
            for j in x.outputs(i):
                biases[i - 1][row, :, j] = bias(x, i, j)
                for k in x.inputs(i):
                    weights[i - 1][row, :, j, k] = weight(x, i, j, k).view(layer.out_channels, *kernel)
    return WeightSpaceFeatures(weights, biases)
