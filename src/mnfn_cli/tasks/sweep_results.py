"""Read the table of a sweep back from its folder."""

from collections.abc import Mapping
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.storage.records import Record, parse_record, read_json
from mnfn_cli.symmetry import Access
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Seconds


class SweepResult(Record):
    """The settings and figures of one finished run of a sweep, an entry of results.json.

    Attributes:
        recipe, variant, seed: which run it is (``Trial``).
        model: the name of its model.
        parameters: the number of learned parameters.
        reads: what its functional reads of a network.
        test: the test figures by name.
        seconds: the wall time of the run.
    """

    recipe: str
    variant: tuple[str, ...]
    seed: int
    model: str
    parameters: int
    reads: Access = "weights alone"
    test: Mapping[str, Metric]
    seconds: Seconds


def read_sweep(folder: Path) -> list[SweepResult]:
    """Return the entries of results.json in the folder of a sweep; none if no run of it is finished yet.

    Raises:
        DataError: the file cannot be read, or an entry lacks a key, has one of the wrong type, or other test figures
            than an entry of the same recipe.
    """
    file = folder / "results.json"
    try:
        entries = read_json(file)
    except FileNotFoundError:
        return []
    if not isinstance(entries, list):
        raise DataError(file, "is no list of runs")
    found = [parse_record(entry, file, SweepResult) for entry in entries]
    figures: dict[tuple[str, ...], set[str]] = {}
    for one in found:
        if figures.setdefault((one.recipe, *one.variant), {*one.test}) != {*one.test}:
            raise DataError(file, f"runs of {one.recipe} have different test figures")
    return found
