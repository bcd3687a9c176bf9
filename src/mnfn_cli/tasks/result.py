"""What result.json holds: the figures of a finished run."""

from collections.abc import Mapping
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.storage.records import OpenRecord, Record, read_record
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.training.record import Versions, ZooReference

RESULT_FILE = "result.json"


class Learned(Record):
    """What a run learned from."""

    zoos: tuple[ZooReference, ...]
    networks: Mapping[str, int]
    split_protocol: str


class Seconds(OpenRecord):
    """Wall time of the run's last start, in seconds."""

    training: float
    per_step: float
    in_all: float


class Result(OpenRecord):
    """The whole of result.json; beside these keys it holds what the task concluded.

    Attributes:
        task, model: the names of the task and of the model.
        parameters: the number of numbers that the model learned.
        data: the zoos and the numbers of networks that it learned from.
        test: figures on the test networks, by name.
        validation: the figure that chose the model, and the step at which it was taken.
        steps: optimizer steps; 0 for a functional that is fitted in closed form.
        seed: the run's seed.
        bit_for_bit: whether a run that was resumed has the numbers of one that was not.
        environment: what a run must share with another one to agree in every bit.
        seconds, versions: the run's wall times, and the versions of mnfn, torch and Python.
    """

    task: str
    model: str
    parameters: int
    data: Learned
    test: Mapping[str, Metric]
    validation: Mapping[str, float | None]
    steps: int
    seed: int
    bit_for_bit: bool = True
    environment: Mapping[str, str] = {}
    seconds: Seconds
    versions: Versions


def read_result(folder: Path) -> Result:
    """Read the result of a run.

    Raises:
        DataError: it is missing or cannot be read.
    """
    file = folder / RESULT_FILE
    try:
        return read_record(file, Result)
    except FileNotFoundError:
        raise DataError(file, "missing; the run is not whole") from None
