"""Read text files that describe networks."""

from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.storage.records import json_value, refuse_half_characters

MOST_BYTES = 256 * 2**20
"""The largest size of a file that is read, in bytes."""


def read_utf8(path: Path) -> str:
    """Return the text of a file; raises DataError unless it is a regular file in UTF-8 of at most ``MOST_BYTES``."""
    try:
        content = read_regular(path, MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DataError(path, f"{path.stat().st_size} bytes; at most {MOST_BYTES} are read")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(path, f"is not UTF-8: byte {error.start}") from None
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None


def parse_json(text: str, where: object) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the text.
        where: the file, or the place in it, for errors.

    Raises:
        DataError: the text is no JSON; an object has a key twice; or a text holds half of a surrogate pair, which is no
            character, and which no table takes.
    """
    try:
        value = json_value(text)
        refuse_half_characters(text, value)
    except ValueError as error:
        raise DataError(where, f"is no readable JSON: {error}") from None
    return value
