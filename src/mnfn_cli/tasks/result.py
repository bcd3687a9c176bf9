"""The contents of result.json: the figures of a finished run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.errors import DataError
from mnfn_cli.storage.records import OpenRecord, Record, read_record
from mnfn_cli.symmetry import Access
from mnfn_cli.tasks.familiarity import FamiliarityFigures
from mnfn_cli.tasks.intervals import IntervalFigures
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.training.record import Versions, ZooReference
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import SpecField

RESULT_FILE = "result.json"


class Learned(Record):
    """The zoos that a run was trained on, the number of networks in each split, and how they were split, in words."""

    zoos: tuple[ZooReference, ...]
    networks: Mapping[str, int]
    split_protocol: str


class SpaceFigures(Record):
    """Metrics on the networks of one weight space.

    Attributes:
        spec: the weight space.
        networks: the number of its networks.
        test: the metrics by name.
    """

    spec: SpecField
    networks: int
    test: Mapping[str, Metric]


def by_weight_space(
    specs: Sequence[NetworkSpec], networks: Networks, figures: Callable[[NDArray[np.int64]], Mapping[str, Metric]]
) -> tuple[SpaceFigures, ...]:
    """Compute metrics within each weight space that has networks; nothing for networks of one weight space.

    A rank correlation over several weight spaces is also high for a functional that tells them apart and knows nothing
    else, if networks of one are better than those of another. Within a weight space it cannot be.

    Args:
        specs: the weight spaces.
        networks: the networks.
        figures: a function that returns the metrics of some of the networks, given their positions, ``(chosen,)``.
    """
    if not isinstance(networks, MixedFeatures):
        return ()
    rows = [np.nonzero(networks.spaces.numpy() == number)[0] for number in range(len(specs))]
    pairs = [(spec, chosen) for spec, chosen in zip(specs, rows, strict=True) if len(chosen)]
    return tuple(SpaceFigures(spec=spec, networks=len(chosen), test=figures(chosen)) for spec, chosen in pairs)


class Invariance(Record):
    """The largest change of an answer under random group elements.

    Attributes:
        condition: what the elements did, such as ``U[1, 10000], permuted``.
        networks: the number of networks.
        largest_change: the largest absolute difference between a number that is observed (``Task.observed``) and that
            for the original network.
    """

    condition: str
    networks: int
    largest_change: float


class Seconds(OpenRecord):
    """The wall time since the run was started or last resumed, in seconds."""

    training: float
    per_step: float
    in_all: float


class Result(OpenRecord):
    """All of result.json. It may hold further keys that a task measured (``Conclusion.more``).

    Attributes:
        task, model: the names of the task and of the model.
        reads: what the functional reads of a network: its weights alone, as all did before this key was written, or
            also what the network computes on inputs of the functional's own.
        parameters: the number of learned parameters of the model.
        data: the networks that the run was trained and measured on.
        test: metrics on the test networks by name.
        by_weight_space: the same within each weight space, if there are several.
        intervals: what the intervals around predictions promise, and did on the test networks; None if there are none.
        unlike: the same for the flag of networks unlike the training zoo.
        invariance: by how much answers change under group elements, for each condition.
        validation: the best value of the figure that chose the model, by its name, and the ``step`` at which it was
            measured.
        steps: the number of optimizer steps; 0 for a functional that is fitted in closed form.
        seed: the seed of the run.
        bit_for_bit: whether the result is bit for bit that of an uninterrupted run.
        environment: what another run must have in common with this one to agree bit for bit.
        seconds: the wall time of the run.
        versions: the versions of the software that trained the run.
    """

    task: str
    model: str
    reads: Access = "weights alone"
    parameters: int
    data: Learned
    test: Mapping[str, Metric]
    by_weight_space: tuple[SpaceFigures, ...] = ()
    intervals: IntervalFigures | None = None
    unlike: FamiliarityFigures | None = None
    invariance: tuple[Invariance, ...] = ()
    validation: Mapping[str, float | None]
    steps: int
    seed: int
    bit_for_bit: bool = True
    environment: Mapping[str, str] = {}
    seconds: Seconds
    versions: Versions


def read_result(folder: Path) -> Result:
    """Read result.json of a run.

    Raises:
        DataError: the file is missing, cannot be read, or a key of it is missing or of the wrong type.
    """
    file = folder / RESULT_FILE
    try:
        return read_record(file, Result)
    except FileNotFoundError:
        raise DataError(file, "missing; the run is not whole") from None
