"""Read the values of options of ``mnfn zoo import``: sizes, lists and fractions."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Literal

from mnfn_cli.errors import UsageError

_WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)


def read_size(option: str, text: str, *, sides: tuple[int, ...] = (2,)) -> tuple[int, ...]:
    """Read ``28x28`` or ``3x32x32``, or one number for a square.

    Args:
        option: the name of the option, for errors.
        text: the value.
        sides: how many numbers there may be.

    >>> read_size("--size", "28"), read_size("--size", "28x32")
    ((28, 28), (28, 32))
    """
    parts = text.split("x")
    numbers = tuple(int(part) for part in parts if _WHOLE.fullmatch(part))
    if len(numbers) != len(parts) or len(numbers) not in (1, *sides) or min(numbers) < 1:
        example = "28x28, 1x28x28" if 3 in sides else "28x28"
        raise UsageError(option, f"'{text}'; give a size in pixels, such as {example} or 28")
    return numbers * 2 if len(numbers) == 1 else numbers


def read_pairs(option: str, text: str, least: int) -> tuple[tuple[int, int], ...]:
    """Read numbers, or ``HEIGHTxWIDTH``, with commas between: one for each convolution, or one for all.

    >>> read_pairs("--stride", "2,1x2", 1)
    ((2, 2), (1, 2))
    """
    pairs = []
    for entry in text.split(","):
        parts = entry.strip().split("x")
        if len(parts) > 2 or not all(_WHOLE.fullmatch(part) and int(part) >= least for part in parts):
            raise UsageError(option, f"'{text}'; give whole numbers with commas between, such as 2 or 2,1")
        pairs.append((int(parts[0]), int(parts[-1])))
    return tuple(pairs)


def read_texts(text: str) -> tuple[str, ...]:
    """Read texts with commas between."""
    return tuple(part.strip() for part in text.split(","))


def read_numbers(option: str, text: str) -> tuple[float, ...]:
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


def read_epoch(option: str, text: str) -> int | Literal["last", "all"]:
    """Read the number of an epoch, ``last`` or ``all``."""
    if text == "last":
        return "last"
    if text == "all":
        return "all"
    if not _WHOLE.fullmatch(text):
        raise UsageError(option, f"'{text}'; give the number of an epoch, last or all")
    return int(text)


def read_where(option: str, entries: Sequence[str]) -> dict[str, str]:
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


READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "stride": lambda option, text: read_pairs(option, text, 1),
    "padding": lambda option, text: read_pairs(option, text, 0),
    "pool": lambda option, text: read_texts(text),
    "layers": lambda option, text: read_texts(text),
    "input_size": lambda option, text: read_size(option, text, sides=(2, 3)),
    "size": read_size,
    "input_mean": read_numbers,
    "input_std": read_numbers,
    "split": read_fractions,
    "epoch": read_epoch,
    "where": read_where,
}
"""By the name of its parameter, how the text of an option is read; the others have values of their own."""


def read_values(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the options that were given, by the names of their parameters.

    Args:
        texts: all options; those that were not given are None, or False.

    >>> read_values({"stride": "2", "padding": None, "activation": "relu"})
    {'stride': ((2, 2),), 'activation': 'relu'}
    """
    return {
        name: READERS[name](f"--{name.replace('_', '-')}", text) if name in READERS else text
        for name, text in texts.items()
        if text is not None and text is not False
    }
