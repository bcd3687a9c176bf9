"""Turn texts about networks into columns of a zoo's table, and check the target of a task."""

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

from mnfn_cli.errors import DataError

ACCURACY, CLASS = "test_accuracy", "class"
"""The columns that hold what is learned: by generalization for classifiers, by classification for INRs."""

_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""Matches a number; 007 is none, since numbers do not keep leading zeros."""

_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def typed(name: str, texts: Sequence[str | None], places: Sequence[str]) -> tuple[list[Any], dict[int, DataError]]:
    """Turn a column of texts into numbers, if all of them are numbers.

    Args:
        name: the name of the column.
        texts: the text of each row; None where there is none.
        places: the name of each row for errors.

    Returns:
        the numbers, or the texts as they are; and by their rows, errors for numbers that are not finite and for
        percentages among numbers.

    >>> typed("lr", ["1e-3", None, "2"], ["", "", ""])[0], typed("name", ["001", "b"], ["", ""])[0]
    ([0.001, None, 2.0], ['001', 'b'])
    """
    known = [text for text in texts if text is not None]
    if not any(map(_is_number, known)) or not all(_is_number(text) or _is_odd(text) for text in known):
        return list(texts), {}
    faults = {
        row: DataError(f"{places[row]}:{name}", _advice(text))
        for row, text in enumerate(texts)
        if text is not None and _is_odd(text)
    }
    whole = all(_WHOLE.fullmatch(text) for text in known)
    if whole and not all(len(text) < 21 and abs(int(text)) < 2**63 for text in known):
        return list(texts), {}  # a number of 64 bits or of floating point would be another one
    kind = int if whole else float
    return [None if text is None or row in faults else kind(text) for row, text in enumerate(texts)], faults


def numbers(texts: Sequence[str | None]) -> list[float | str | None]:
    """Return each text that is a finite number as a number, and the others as they are."""
    return [float(text) if text is not None and _is_number(text) else text for text in texts]


def check_accuracies(values: Sequence[Any], places: Sequence[str], name: str, required: bool) -> dict[int, DataError]:
    """Return by their rows errors for values that are no accuracies, which are numbers in [0, 1].

    Args:
        values: the values; those that are no numbers as texts.
        places: the name of each row for errors.
        name: what the user calls the column.
        required: whether every network must have an accuracy.
    """
    faults = {}
    for row, value in enumerate(values):
        where = f"{places[row]}:{name}"
        if value is None:
            if required:
                faults[row] = DataError(where, "has no accuracy")
        elif isinstance(value, str):
            faults[row] = DataError(where, _advice(value))
        elif not 0 <= value <= 1:
            faults[row] = DataError(where, f"{value:g} is outside [0, 1]; an accuracy is a fraction, such as 0.93")
    return faults


def check_classes(values: Sequence[Any], places: Sequence[str], name: str) -> dict[int, DataError]:
    """Return by their rows errors for networks without a class, and for classes that a table would take for one.

    ``01`` and ``1`` are different texts and one number, and a column of numbers is read as numbers.
    """
    faults = {
        row: DataError(f"{places[row]}:{name}", "has no class") for row, value in enumerate(values) if value is None
    }
    texts: dict[int, str] = {}
    for row, value in enumerate(values):
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
            first = texts.setdefault(int(value), value)
            if first != value:
                faults[row] = DataError(f"{places[row]}:{name}", f"the classes '{first}' and '{value}' are one number")
    return faults


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and isfinite(float(text))


def _is_odd(text: str) -> bool:
    """Return whether a text stands for a number that a table of numbers cannot hold."""
    bare = text.removesuffix("%").strip()
    return bool(_NOT_FINITE.fullmatch(bare) or _NUMBER.fullmatch(bare)) and not _is_number(text)


def _advice(text: str) -> str:
    if text.endswith("%") and _is_number(bare := text.removesuffix("%").strip()):
        return f"'{text}' is a percentage; write the fraction {float(bare) / 100:g}"
    return f"'{text}' is no finite number; leave the cell empty if it is unknown"
