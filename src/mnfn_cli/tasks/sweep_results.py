"""Read the table of a sweep back from its folder."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.storage.records import Record, parse_record, read_json
from mnfn_cli.symmetry import Access
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Seconds


class SweptRun(Record):
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

    @property
    def folder(self) -> str:
        """The name of the run's folder inside the folder of the sweep."""
        return folder_of(self.recipe, self.variant, self.seed)


def folder_of(recipe: str, variant: Sequence[str], seed: int) -> str:
    """Return the name of a run's folder inside the folder of its sweep.

    >>> folder_of("generalization/relu-np", ["model.channels=[5]"], seed=1)
    'generalization-relu-np+model.channels=-5-seed1'
    """
    words = [recipe, *variant]
    return "+".join(re.sub(r"[^\w.,=-]+", "-", word).strip("-") for word in words) + f"-seed{seed}"


def read_sweep(folder: Path) -> list[SweptRun]:
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
    found = [parse_record(entry, file, SweptRun) for entry in entries]
    figures: dict[tuple[str, ...], set[str]] = {}
    for one in found:
        if figures.setdefault((one.recipe, *one.variant), {*one.test}) != {*one.test}:
            raise DataError(file, f"runs of {one.recipe} have different test figures")
    return found
