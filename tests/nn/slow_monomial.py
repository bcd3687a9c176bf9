"""The slow, obvious monomial layer: loops over entries, straight from the formulas of docs/layers.md."""

import torch

from mnfn_cli.weightspace.features import WeightSpaceFeatures


def slow_monomial(layer, spec, x):
    """Apply ``layer``'s coefficients entry by entry.

    Vectors are flattened as the formulas say: kernel entries count as channels. A coefficient into an output with a
    free axis has that axis first among its rows, and likewise its columns.
    """
    d, e, last = layer.in_channels, layer.out_channels, spec.num_layers
    w = spec.kernel_entries
    n0, n_last = spec.widths[0], spec.widths[-1]
    c = {key: value.detach() for key, value in layer.coefficients().items()}

    def weight_in(i, j, k):
        return x.weights[i - 1][:, :, j, k].flatten(1)  # (batch, d * w_i)

    def bias_in(i, j):
        return x.biases[i - 1][:, :, j]  # (batch, d)

    def part(target, source, out_index, in_index, rows, columns):
        """The coefficient matrix from one entry of the free input axis to one of the free output axis."""
        block = c.get((target, source))
        if block is None:
            return None
        return block[out_index * rows : (out_index + 1) * rows, in_index * columns : (in_index + 1) * columns]

    def add(total, matrix, vector):
        return total if matrix is None else total + vector @ matrix.T

    batch = x.batch
    out = WeightSpaceFeatures.zeros(spec, batch, e, dtype=x.dtype)
    for i in range(1, last + 1):
        name = f"W({i})"
        for j in range(spec.widths[i]):
            for k in range(spec.widths[i - 1]):
                value = torch.zeros(batch, e * w[i - 1], dtype=x.dtype)
                rows = e * w[i - 1]
                if i == 1:
                    for q in range(n0):
                        value = add(value, part(name, name, k, q, rows, d * w[0]), weight_in(1, j, q))  # A
                    value = add(value, part(name, "b(1)", k, 0, rows, d), bias_in(1, j))  # B
                    if last == 2:
                        for p in range(n_last):
                            value = add(value, part(name, "W(2)", k, p, rows, d * w[1]), weight_in(2, p, j))  # U
                elif i == last:
                    for p in range(n_last):
                        value = add(value, part(name, name, j, p, rows, d * w[-1]), weight_in(last, p, k))  # F
                    value = add(value, part(name, f"b({last - 1})", j, 0, rows, d), bias_in(last - 1, k))  # H
                    if last == 2:
                        for q in range(n0):
                            value = add(value, part(name, "W(1)", j, q, rows, d * w[0]), weight_in(1, k, q))  # V
                else:
                    value = add(value, part(name, name, 0, 0, rows, rows * d // e), weight_in(i, j, k))  # P_i
                out.weights[i - 1][:, :, j, k] = value.view(batch, e, *spec.weight_shapes[i - 1][2:])
        name = f"b({i})"
        for j in range(spec.widths[i]):
            value = torch.zeros(batch, e, dtype=x.dtype)
            if i == last:
                for p in range(n_last):
                    value = add(value, part(name, name, j, p, e, d), bias_in(last, p))  # G
                value = value + layer.constant.detach()[j * e : (j + 1) * e]  # T
            else:
                value = add(value, part(name, name, 0, 0, e, d), bias_in(i, j))  # D, S_i
                if i == 1:
                    for q in range(n0):
                        value = add(value, part(name, "W(1)", 0, q, e, d * w[0]), weight_in(1, j, q))  # C
                if i == last - 1:
                    for p in range(n_last):
                        value = add(value, part(name, f"W({last})", 0, p, e, d * w[-1]), weight_in(last, p, j))  # R
            out.biases[i - 1][:, :, j] = value
    return out
