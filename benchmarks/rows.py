"""One line of the table that ``make bench`` prints: some work, what it is measured against, and what is to be reached.

Every figure is a ratio of two medians, or of two peaks of memory, that were taken in one run.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROWS = "MNFN_BENCHMARK_ROWS"
"""The environment variable that names the file to which rows are appended, a line of JSON each."""


@dataclass(frozen=True)
class Row:
    """One measured ratio.

    Args:
        work: what mnfn does, in a few words.
        against: what it is compared with.
        ratio: the measured ratio. It is seconds of the work divided by seconds of ``against`` if ``better`` is
            ``lower``, and how many times as fast the work is if ``better`` is ``higher``.
        target: the ratio to reach.
        better: whether a lower or a higher ratio is better.
        note: the sizes, threads or memory that belong to the figure.
    """

    work: str
    against: str
    ratio: float
    target: float
    better: Literal["lower", "higher"]
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio <= self.target if self.better == "lower" else self.ratio >= self.target

    def __str__(self) -> str:
        sign = "<=" if self.better == "lower" else ">="
        answer = "met" if self.met else "not met"
        return f"{self.work:44} {self.against:40} {self.ratio:8.2f} {sign} {self.target:<6g} {answer:8} {self.note}"


def record(row: Row) -> None:
    """Print a row, and append it to the file that ``MNFN_BENCHMARK_ROWS`` names, if it is set."""
    print(row, flush=True)
    if path := os.environ.get(ROWS):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row), allow_nan=False) + "\n")
