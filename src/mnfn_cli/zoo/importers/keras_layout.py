"""Read ``layout.csv``: which columns of a matrix of weights are which tensor of a Keras network."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.weightspace.spec import NetworkSpec

COLUMNS = ("varname", "start_idx", "end_idx", "shape")
STRIDE = 2
"""The stride of every convolution, which the files do not tell; there is no padding."""

MAX_BYTES = 2**20
_NAME = re.compile(r"(?P<layer>[\w/.-]{1,200})/(?P<kind>kernel|bias):0", re.ASCII)
_SHAPE = re.compile(r"\(\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*,?\s*\)", re.ASCII)
_INDEX = re.compile(r"\d{1,12}", re.ASCII)


@dataclass(frozen=True)
class Variable:
    """A tensor of every network: the columns from ``start`` to ``stop - 1``, in the shape that TensorFlow gave it."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class KerasLayout:
    """The tensors of the networks, layer by layer.

    Args:
        file: the file from which the layout was read, for errors.
        kernels, biases: the kernel and the bias of each layer, in the order in which the network applies them. A kernel
            has the shape ``(height, width, in, out)``, or ``(in, out)`` in a dense layer.
    """

    file: Path
    kernels: tuple[Variable, ...]
    biases: tuple[Variable, ...]

    def spec(self, activation: str) -> NetworkSpec:
        """Return the weight space of networks with this activation; the size of their pictures is unknown.

        Raises:
            DataError: the tensors are no chain of convolutions and, after global average pooling, dense layers.
        """
        convolutions = [kernel.shape for kernel in self.kernels if len(kernel.shape) == 4]
        dense = [kernel.shape for kernel in self.kernels if len(kernel.shape) == 2]
        if not convolutions or not dense or [k.shape for k in self.kernels] != convolutions + dense:
            raise DataError(self.file, "the layers are not convolutions followed by dense layers")
        for before, kernel in pairwise(self.kernels):
            if before.shape[-1] != kernel.shape[-2]:
                problem = f"reads {kernel.shape[-2]} channels, and {before.name} before it has {before.shape[-1]}"
                raise DataError(f"{self.file}:{kernel.name}", problem)
        try:
            return NetworkSpec.cnn(
                [convolutions[0][2], *(shape[3] for shape in convolutions)],
                kernel=[(shape[0], shape[1]) for shape in convolutions],
                stride=STRIDE,
                hidden=[shape[1] for shape in dense[:-1]],
                outputs=dense[-1][1],
                activation=activation,
            )
        except UsageError as error:
            raise DataError(self.file, error.problem) from None

    def features(self, numbers: np.ndarray) -> WeightSpaceFeatures:
        """Return networks as raw weights ``(rows, 1, ...)`` in PyTorch's order, in the dtype of ``numbers``.

        A kernel ``(height, width, in, out)`` becomes ``(out, in, height, width)``, and ``(in, out)`` ``(out, in)``.

        Args:
            numbers: rows of the matrix, ``(rows, columns)``. The weights and biases are views of it.
        """
        table = torch.from_numpy(numbers)
        weights = []
        for kernel in self.kernels:
            tensor = table[:, kernel.start : kernel.stop].reshape(len(table), *kernel.shape)
            weights.append(tensor.permute((0, 4, 3, 1, 2) if tensor.dim() == 5 else (0, 2, 1))[:, None])
        return WeightSpaceFeatures(weights, [table[:, None, bias.start : bias.stop] for bias in self.biases])

    def name_of(self, column: int) -> str:
        """Return the name of the tensor to which a column of the matrix belongs."""
        return next(v.name for v in (*self.kernels, *self.biases) if v.start <= column < v.stop)


def read_layout(file: Path, columns: int) -> KerasLayout:
    """Read ``layout.csv``, the columns ``varname,start_idx,end_idx,shape``. Shapes are texts such as ``(3, 3, 1, 16)``.

    The rows stand in the order of the columns of the matrix, without gaps or overlaps, and name every column. Layers
    are taken in that order, which must also be that of the numbers in the names of convolutions and of dense layers.

    Args:
        file: the path of the file.
        columns: the number of columns of the matrix.

    Raises:
        DataError: the file is no such layout. The row is named, counted from 0 below the heading.
    """
    variables: list[Variable] = []
    for row, cells in enumerate(_read_cells(file)):
        variable = _read_variable(f"{file}:row {row}", cells)
        expected = variables[-1].stop if variables else 0
        if variable.start != expected:
            wrong = "overlaps the row before" if variable.start < expected else "leaves a gap"
            problem = f"{variable.start} {wrong}: expected {expected}; rows stand in the order of the weights' columns"
            raise DataError(f"{file}:row {row}:start_idx", problem)
        if variable.stop > columns:
            raise DataError(f"{file}:row {row}:end_idx", f"{variable.stop}; the weights have {columns} columns")
        if variable.name in (other.name for other in variables):
            raise DataError(f"{file}:row {row}:varname", f"'{variable.name}' is there twice")
        variables.append(variable)
    if not variables or variables[-1].stop != columns:
        named = variables[-1].stop if variables else 0
        raise DataError(file, f"names {named} columns of the {columns} that the weights have")
    return _pair(file, variables)


def _read_cells(file: Path) -> list[dict[str, str]]:
    try:
        content = read_regular(file, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DataError(file, f"is larger than {MAX_BYTES} bytes; a layout has a row for each tensor")
        rows = list(csv.reader(content.decode("utf-8").splitlines(), strict=True))
    except OSError as error:
        raise DataError(file, f"cannot read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(file, f"is no table: {error}") from None
    heading = rows[0] if rows else []
    for name in COLUMNS:
        if heading.count(name) != 1:
            problem = "is missing" if name not in heading else "is there twice"
            raise DataError(f"{file}:{name}", f"this column {problem}; a layout has {', '.join(COLUMNS)}")
    for row, cells in enumerate(rows[1:]):
        if len(cells) != len(heading):
            raise DataError(f"{file}:row {row}", f"{len(cells)} cells; the heading has {len(heading)}")
    return [dict(zip(heading, cells, strict=True)) for cells in rows[1:]]


def _read_variable(where: str, cells: dict[str, str]) -> Variable:
    name, shape = cells["varname"].strip(), cells["shape"].strip()
    if _NAME.fullmatch(name) is None:
        raise DataError(f"{where}:varname", f"'{name}' does not end in /kernel:0 or /bias:0")
    for column in ("start_idx", "end_idx"):
        if _INDEX.fullmatch(cells[column].strip()) is None:
            raise DataError(f"{where}:{column}", f"'{cells[column]}' is no number of a column")
    if _SHAPE.fullmatch(shape) is None:
        raise DataError(f"{where}:shape", f"'{shape}' is no shape such as (3, 3, 1, 16); it is read, not evaluated")
    lengths = tuple(int(length) for length in re.findall(r"\d+", shape))
    start, stop = int(cells["start_idx"]), int(cells["end_idx"])
    if prod(lengths) != stop - start or stop == start:
        raise DataError(f"{where}:shape", f"{shape} does not fill the columns {start} to {stop}")
    wanted = (1,) if name.endswith("/bias:0") else (2, 4)
    if len(lengths) not in wanted:
        raise DataError(f"{where}:shape", f"{shape} has {len(lengths)} axes; a bias has 1, a kernel 2 or 4")
    return Variable(name, start, stop, lengths)


def _pair(file: Path, variables: Sequence[Variable]) -> KerasLayout:
    found = {variable.name: variable for variable in variables}
    layers = list(dict.fromkeys(variable.name.rpartition("/")[0] for variable in variables))
    kernels, biases = [], []
    for layer in layers:
        kernel, bias = found.get(f"{layer}/kernel:0"), found.get(f"{layer}/bias:0")
        if kernel is None or bias is None:
            raise DataError(f"{file}:{layer}", f"has no {'kernel' if kernel is None else 'bias'}")
        if bias.shape[0] != kernel.shape[-1]:
            raise DataError(f"{file}:{bias.name}", f"{bias.shape[0]} numbers for {kernel.shape[-1]} outputs")
        kernels.append(kernel)
        biases.append(bias)
    for axes in (4, 2):
        names = [kernel.name.rpartition("/")[0] for kernel in kernels if len(kernel.shape) == axes]
        if names != sorted(names, key=natural_key):
            raise DataError(file, f"the order of the layers contradicts their names: {', '.join(names)}")
    return KerasLayout(file, tuple(kernels), tuple(biases))
