r"""Features of neurons that are graded by the characters of sine's symmetry group, and layers that keep the grades.

A hidden neuron of a SIREN may be flipped and shifted, by an element ``(d, k)`` of the infinite dihedral group
(docs/symmetries.md): the incoming weights ``w`` become ``(-1)^d w``, the phase ``t = omega b`` becomes
``(-1)^d t + k pi``, and the outgoing weights ``u`` become ``(-1)^(d+k) u``. The group has four characters, written as
the grade ``(a, c)``: a feature of this grade takes the factor ``(-1)^(a d + c k)``. So

    (0, 0)  |w|, cos(k.w), cos 2t, u^2, 1        (1, 0)  w, sin(k.w), sin 2t
    (0, 1)  cos t                                (1, 1)  sin t, u

Grades of a product add. An odd function of a feature keeps its grade, and any function of features of grade (0, 0) has
grade (0, 0). The phase enters through its cosine and sine only, so no case distinction and no rounding separates
phases that differ by a whole number of turns.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Grade = tuple[int, int]
Graded = Mapping[Grade, Tensor]
"""Features of the neurons of a layer by grade, each ``(batch, neurons, size)``."""

INVARIANT: Grade = (0, 0)
LIKE_INCOMING: Grade = (1, 0)
LIKE_OUTGOING: Grade = (1, 1)
GRADES: tuple[Grade, ...] = (INVARIANT, LIKE_INCOMING, (0, 1), LIKE_OUTGOING)
FLOOR = 1e-4


class GradedLayer(nn.Module):
    """Mix the features of each neuron by products of two grades and by linear maps, and apply an activation.

        y_c = sigma_c(|sum_{a + b = c} C_c (A_a x_a * B_b x_b) + L_c x_c|)

    with the elementwise product ``*``. The bars divide the features of each neuron and grade by their root mean square,
    which no sign changes. ``sigma_c`` is GELU for the invariant grade and tanh, which is odd, for the others. Only the
    invariant grade has biases. The layer acts on each neuron alone, so it also commutes with permutations. It is not
    complete: products of more than two features need several layers.

    Args:
        sizes: the number of features of each grade in the input.
        size: the number of features of each grade in the output.
        grades: the grades of the output; by default all.

    Shapes:
        The input is ``(batch, neurons, sizes[grade])`` for each grade; the output is ``(batch, neurons, size)`` for
        each of ``grades``. With all grades there are ``sum of 3 sizes[grade] size + 4 size^2 + 4 size`` parameters.

    Source:
        mnfn's own (docs/graded-layers.md).

    >>> import torch
    >>> from mnfn_cli.nn import GradedLayer
    >>> sizes = {(0, 0): 3, (1, 0): 2, (0, 1): 2, (1, 1): 2}
    >>> layer = GradedLayer(sizes, 4)
    >>> found = layer({grade: torch.rand(2, 5, size) for grade, size in sizes.items()})
    >>> {grade: tuple(values.shape) for grade, values in found.items()}
    {(0, 0): (2, 5, 4), (1, 0): (2, 5, 4), (0, 1): (2, 5, 4), (1, 1): (2, 5, 4)}
    """

    def __init__(self, sizes: Mapping[Grade, int], size: int, grades: Sequence[Grade] = GRADES) -> None:
        super().__init__()

        def linear(inputs: Mapping[Grade, int]) -> nn.ModuleDict:
            return nn.ModuleDict({_key(g): nn.Linear(n, size, bias=g == INVARIANT) for g, n in inputs.items()})

        self.grades = tuple(grades)
        self.left, self.right = linear(sizes), linear(sizes)
        self.straight = linear({grade: sizes[grade] for grade in grades})
        self.joined = linear(dict.fromkeys(grades, size))

    def forward(self, features: Graded) -> Graded:
        """Return the features of the grades of the output."""
        left = {grade: self.left[_key(grade)](x) for grade, x in features.items()}
        right = {grade: self.right[_key(grade)](x) for grade, x in features.items()}
        mixed = {}
        for grade in self.grades:
            products = [left[own] * right[_sum(own, grade)] for own in GRADES]
            y = self.joined[_key(grade)](torch.stack(products).sum(dim=0))
            y = y + self.straight[_key(grade)](features[grade])
            y = y * (y.square().mean(dim=2, keepdim=True) + FLOOR).rsqrt()
            mixed[grade] = F.gelu(y) if grade == INVARIANT else torch.tanh(y)
        return mixed


class GradedMessages(nn.Module):
    """Update the features of a layer of neurons by those of a neighbouring layer, along the weights between them.

    The weight ``E[i, j]`` from neuron ``j`` to neuron ``i`` of the next layer is an outgoing weight of ``j`` and an
    incoming weight of ``i``. So ``sum_j E[i, j] x_j`` of features ``x`` of grade (1, 1) has grade (1, 0) at ``i``, and
    back ``sum_i E[i, j] y_i`` of features ``y`` of grade (1, 0) has grade (1, 1) at ``j``. The squares of the weights
    carry the invariant grade both ways. What arrives is mixed with a neuron's own features by a ``GradedLayer``, whose
    output is added to these.

    Args:
        size: the number of features of each grade.
        backward: whether the messages go from a layer to the layer before it.

    Shapes:
        The features of both layers are ``(batch, neurons, size)`` for each grade, the edges ``(batch, out, in)``.
    """

    def __init__(self, size: int, backward: bool) -> None:
        super().__init__()
        self.backward = backward
        self.sent, self.received = (LIKE_INCOMING, LIKE_OUTGOING) if backward else (LIKE_OUTGOING, LIKE_INCOMING)
        doubled = (INVARIANT, self.received)
        self.layer = GradedLayer({grade: size * (1 + (grade in doubled)) for grade in GRADES}, size)

    def forward(self, own: Graded, sender: Graded, edges: Tensor) -> Graded:
        """Return the updated features of the receiving layer."""
        squares = edges.square()
        squares = squares / (squares.mean(dim=(1, 2), keepdim=True) + FLOOR)
        if self.backward:
            edges, squares = edges.transpose(1, 2), squares.transpose(1, 2)
        arriving = {
            self.received: edges @ sender[self.sent],
            INVARIANT: squares @ sender[INVARIANT] / edges.shape[2],
        }
        seen = {grade: torch.cat([x, arriving[grade]], dim=2) if grade in arriving else x for grade, x in own.items()}
        return {grade: x + y for (grade, x), y in zip(own.items(), self.layer(seen).values(), strict=True)}


def _key(grade: Grade) -> str:
    return f"{grade[0]}{grade[1]}"


def _sum(first: Grade, second: Grade) -> Grade:
    return first[0] ^ second[0], first[1] ^ second[1]
