"""Typed JSON files, such as run.json and zoo.json. Errors name the file and the key."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.storage.atomic import write_json

MAX_BYTES = 64 * 2**20
"""The largest size of a JSON file that is read."""


class Record(BaseModel):
    """A JSON object whose keys are the fields of a subclass; unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for JSON with the fields that were given, without those that have their defaults."""
        return self.model_dump(mode="json", exclude_unset=True)

    def changed(self, **values: Any) -> Self:
        """Return a copy of the record with these values."""
        return self.model_copy(update=values)


class VersionedRecord(Record):
    """A record with the version of its format. Reading any version but ``VERSION`` and ``ALSO_READ`` is refused."""

    VERSION: ClassVar[int]
    ALSO_READ: ClassVar[tuple[int, ...]] = ()

    format: int

    @field_validator("format")
    @classmethod
    def _this_version(cls, value: int) -> int:
        if value not in (known := (*cls.ALSO_READ, cls.VERSION)):
            raise ValueError(f"is {value}; this version of mnfn reads {' and '.join(map(str, known))}")
        return value


class OpenRecord(Record):
    """A record that keeps unknown keys with their values."""

    model_config = ConfigDict(extra="allow")


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(file: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Read a JSON file.

    Args:
        file: the JSON file.
        kind: the class of the record.

    Raises:
        FileNotFoundError: there is no such file; the caller words the error.
        DataError: the file cannot be read or is not a JSON object, or a key is missing or of the wrong type. All such
            keys are named.
    """
    document = read_json(file)
    if not isinstance(document, dict):
        raise DataError(file, "is no JSON object")
    return parse_record(document, file, kind)


def parse_record(document: Any, file: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Check the keys and values of a JSON object.

    Args:
        document: the object.
        file: the file from which it was read, for errors.
        kind: the class of the record.

    Raises:
        DataError: a key is missing or of the wrong type; all such keys are named.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise DataError.together(
            DataError(":".join([str(file), ".".join(map(str, fault["loc"]))]).rstrip(":"), _plain(fault["msg"]))
            for fault in faults
        ) from None
    except UnicodeEncodeError as error:  # half of a surrogate pair in a key, which is no character
        raise DataError(file, f"cannot be read: {error}") from None


def json_value(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: the text is no JSON, or is nested too deeply; or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=no_duplicates)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def refuse_half_characters(text: str, value: Any) -> None:
    """Raise ValueError if a value holds half of a surrogate pair: JSON can hold it, no table or terminal takes it.

    Args:
        text: the JSON text that the value was read from.
        value: the value.
    """
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False, allow_nan=True).encode()


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; raises ValueError if it has a key twice, or one that is no text."""
    found = dict(pairs)
    "".join(found).encode()  # half of a surrogate pair, which a key can hold as an escape, is no character
    if len(found) != len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"'{names.most_common(1)[0][0]}' is there twice")
    return found


def write_record(file: Path, record: Record) -> None:
    """Write a record into a JSON file, atomically; raises StorageError if that fails."""
    write_json(file, record.to_json())


def read_json(file: Path) -> Any:
    """Return the value in a JSON file; raises DataError if it cannot be read, FileNotFoundError if there is none."""
    try:
        content = read_regular(file, MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(file, f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise DataError(file, f"{file.stat().st_size} bytes; a description has at most {MAX_BYTES}")
    try:
        return json_value(content.decode())
    except ValueError as error:
        raise DataError(file, f"cannot be read: {error}") from None


def _plain(message: str) -> str:
    if message == "Field required":
        return "missing"
    bare = message.removeprefix("Value error, ")
    return bare[:1].lower() + bare[1:]
