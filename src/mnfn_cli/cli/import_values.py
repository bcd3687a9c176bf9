"""Read the values of options of ``mnfn zoo import``: sizes, lists and fractions."""

import re
from collections.abc import Sequence
from math import isfinite
from typing import Literal

from mnfn_cli.errors import UsageError

_WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)


def read_size(option: str, text: str | None, *, sides: tuple[int, ...] = (2,)) -> tuple[int, ...] | None:
    """Read ``28x28`` or ``3x32x32``, or one number for a square.

    Args:
        option: the name of the option, for errors.
        text: the value; None if the option is not given.
        sides: how many numbers there may be.

    >>> read_size("--size", "28"), read_size("--size", "28x32")
    ((28, 28), (28, 32))
    """
    if text is None:
        return None
    parts = text.split("x")
    numbers = tuple(int(part) for part in parts if _WHOLE.fullmatch(part))
    if len(numbers) != len(parts) or len(numbers) not in (1, *sides) or min(numbers) < 1:
        example = "28x28, 1x28x28" if 3 in sides else "28x28"
        raise UsageError(option, f"'{text}'; give a size in pixels, such as {example} or 28")
    return numbers * 2 if len(numbers) == 1 else numbers


def read_pairs(option: str, text: str | None, least: int) -> tuple[tuple[int, int], ...]:
    """Read numbers, or ``HEIGHTxWIDTH``, with commas between: one for each convolution, or one for all.

    >>> read_pairs("--stride", "2,1x2", 1)
    ((2, 2), (1, 2))
    """
    pairs = []
    for entry in (text or "").split(",") if text is not None else ():
        parts = entry.strip().split("x")
        if len(parts) > 2 or not all(_WHOLE.fullmatch(part) and int(part) >= least for part in parts):
            raise UsageError(option, f"'{text}'; give whole numbers with commas between, such as 2 or 2,1")
        pairs.append((int(parts[0]), int(parts[-1])))
    return tuple(pairs)


def read_texts(text: str | None) -> tuple[str, ...]:
    """Read texts with commas between."""
    return tuple(part.strip() for part in text.split(",")) if text is not None else ()


def read_numbers(option: str, text: str | None) -> tuple[float, ...]:
    """Read finite numbers with commas between."""
    try:
        numbers = tuple(float(part) for part in read_texts(text))
    except ValueError:
        numbers = (float("nan"),)
    if not all(map(isfinite, numbers)):
        raise UsageError(option, f"'{text}'; give numbers with commas between, such as 0.1307 or 0.5,0.5,0.5")
    return numbers


def read_fractions(option: str, text: str) -> dict[str, float]:
    """Read ``70/10/20``, the percentages of train, val and test.

    >>> read_fractions("--split", "50/25/25")
    {'train': 0.5, 'val': 0.25, 'test': 0.25}
    """
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(0 <= number <= 100 for number in numbers) or abs(sum(numbers) - 100) > 1e-6:
        raise UsageError(option, f"'{text}'; give the percentages of train, val and test, such as 70/10/20")
    return dict(zip(("train", "val", "test"), (number / 100 for number in numbers), strict=True))


def read_epoch(option: str, text: str | None) -> int | Literal["last", "all"]:
    """Read the number of an epoch, ``last`` or ``all``; without the option it is ``last``."""
    if text is None or text == "last":
        return "last"
    if text == "all":
        return "all"
    if not _WHOLE.fullmatch(text):
        raise UsageError(option, f"'{text}'; give the number of an epoch, last or all")
    return int(text)


def read_where(option: str, entries: Sequence[str] = ()) -> dict[str, str]:
    """Read entries ``COLUMN=VALUE``.

    >>> read_where("--where", ["config.activation=relu", "config.num_layers=3"])
    {'config.activation': 'relu', 'config.num_layers': '3'}
    """
    values: dict[str, str] = {}
    for entry in entries:
        column, equals, value = entry.partition("=")
        if not column or not equals:
            raise UsageError(option, f"'{entry}' is no condition; write for example config.activation=relu")
        if column in values:
            raise UsageError(option, f"{column} is given twice")
        values[column] = value
    return values
