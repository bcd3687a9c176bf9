"""Read ``result.json`` of a run of Ray Tune: a JSON object for each epoch, one a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.importers.text_files import parse_json, read_utf8

MEASURED = {
    "test_acc": "test_accuracy",
    "train_acc": "train_accuracy",
    "test_loss": "test_loss",
    "train_loss": "train_loss",
}
"""The columns of a zoo's table by the names that the file has for them."""

Scalar = int | float | str | bool


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch.

    Args:
        place: the file and the row, for errors.
        measured: values by their names in a zoo's table; None for values that are no finite numbers.
        accuracy: the test accuracy as the file has it, a text if it is no number; None if there is none.
        config: the hyperparameters that are numbers or texts.
    """

    place: str
    measured: Mapping[str, float | None]
    accuracy: float | str | None
    config: Mapping[str, Scalar]


def read_results(path: Path) -> dict[int, Epoch]:
    """Read the epochs of a run by their numbers, ``training_iteration``.

    If an epoch is there twice, as in a run that was resumed, its last row counts.

    Raises:
        DataError: the file cannot be read, or a row is no JSON object with a number ``training_iteration``.
    """
    epochs: dict[int, Epoch] = {}
    for number, line in enumerate(read_utf8(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:row {number}"
        row = parse_json(line, place)
        if not isinstance(row, dict) or not _is_whole(row.get("training_iteration")):
            raise DataError(place, "is no object with a whole number training_iteration")
        config = row.get("config")
        epochs[row["training_iteration"]] = Epoch(
            place,
            {name: _finite(row.get(key)) for key, name in MEASURED.items()},
            _number_or_text(row.get("test_acc")),
            {
                name: value if _fits(value) else str(value)
                for name, value in (config.items() if isinstance(config, dict) else ())
                if isinstance(value, Scalar) and (not isinstance(value, float) or isfinite(value))
            },
        )
    return epochs


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number_or_text(value: Any) -> float | str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and _fits(value)
    return value if is_number or value is None else str(value)


def _fits(value: Scalar) -> bool:
    """Return whether a value is no integer beyond 64 bits, which no column of numbers can hold."""
    return not isinstance(value, int) or abs(value) < 2**63


def _finite(value: Any) -> float | None:
    found = _number_or_text(value)
    return None if found is None or isinstance(found, str) or not abs(found) < float("inf") else float(found)
