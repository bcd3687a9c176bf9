"""Means of the scores of runs that differ only in their seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnfn_cli.tasks.condition import Condition
from mnfn_cli.tasks.evaluation import Evaluation, Row
from mnfn_cli.weightspace.naming import natural_key


@dataclass(frozen=True)
class Mean:
    """The mean score of runs that differ only in their seed, on one version of the test networks.

    Args:
        label: the label of the runs, as ``label_runs`` gives it.
        zoos: the names of their zoos.
        condition: the version of the test networks.
        seeds: the number of the runs.
        value: the mean of their figures; NaN if one of them is undefined.
        low, high: the value minus and plus the standard deviation over seeds; for one run the ends of its interval.
        largest_change: the largest ``Row.largest_change`` of the runs.
    """

    label: str
    zoos: str
    condition: Condition
    seeds: int
    value: float
    low: float
    high: float
    largest_change: float

    def to_json(self, figure: str) -> dict[str, Any]:
        """Return a JSON object, in which ``figure`` is the name of the mean."""
        deviation = self.high - self.value if self.seeds > 1 else None
        entry = {"model": self.label, "zoos": self.zoos, "networks": self.condition.label, "seeds": self.seeds}
        return entry | {figure: self.value, f"{figure}_sd": deviation, "largest_change": self.largest_change}


def means_over_seeds(evaluation: Evaluation) -> list[Mean]:
    """Return a mean for each label, zoo and condition of an evaluation.

    Labels and conditions have the order of the evaluation's rows, and zoos the natural order of their names.
    """
    groups: dict[tuple[str, str, Condition], list[Row]] = {}
    for row in evaluation.rows:
        groups.setdefault((evaluation.label_of(row), evaluation.zoos.get(row.run, ""), row.condition), []).append(row)
    labels = list(dict.fromkeys(label for label, _, _ in groups))
    ordered = sorted(groups, key=lambda key: (labels.index(key[0]), natural_key(key[1])))
    return [_mean(*key, groups[key]) for key in ordered]


def _mean(label: str, zoos: str, condition: Condition, rows: Sequence[Row]) -> Mean:
    values = np.array([row.value for row in rows])
    value = float(values.mean())
    low, high = rows[0].low, rows[0].high
    if len(rows) > 1:
        deviation = float(values.std(ddof=1))
        low, high = value - deviation, value + deviation
    return Mean(label, zoos, condition, len(rows), value, low, high, max(row.largest_change for row in rows))
