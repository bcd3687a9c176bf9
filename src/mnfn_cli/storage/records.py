"""Descriptions in JSON: typed, read and checked in one place, every fault named with its file and key."""

import json
import stat
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from mnfn_cli.errors import DataError
from mnfn_cli.storage.atomic import write_json

MAX_BYTES = 64 * 2**20
"""A description is small; what is larger is something else."""


class Record(BaseModel):
    """A JSON object with known keys; keys that this version does not know are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, without the keys that nobody set."""
        return self.model_dump(mode="json", exclude_unset=True)

    def changed(self, **values: Any) -> Self:
        """Return the record with other values."""
        return self.model_copy(update=values)


class VersionedRecord(Record):
    """A record whose ``format`` says which version of the format it has; others are refused."""

    VERSION: ClassVar[int]

    format: int

    @field_validator("format")
    @classmethod
    def _this_version(cls, value: int) -> int:
        if value != cls.VERSION:
            raise ValueError(f"is {value}; this version of mnfn reads {cls.VERSION}")
        return value


class OpenRecord(Record):
    """A record that also keeps what it does not know."""

    model_config = ConfigDict(extra="allow")


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(file: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Read a description.

    Args:
        file: the JSON file.
        kind: the type of record that the file must hold.

    Raises:
        FileNotFoundError: there is no such file; only the caller knows what that means.
        DataError: the file cannot be read, is no JSON object, or a key is missing or of the wrong type; all such keys
            are named.
    """
    document = _read_json(file)
    if not isinstance(document, dict):
        raise DataError(file, "is no JSON object")
    return parse_record(document, file, kind)


def parse_record(document: Any, file: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Check an object that was read from ``file``; raises ``DataError`` as ``read_record`` does."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise DataError.together(
            DataError(":".join([str(file), ".".join(map(str, fault["loc"]))]).rstrip(":"), _plain(fault["msg"]))
            for fault in faults
        ) from None


def write_record(file: Path, record: Record) -> None:
    """Write a description atomically."""
    write_json(file, record.to_json())


def _read_json(file: Path) -> Any:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(file, "is no regular file")
        if status.st_size > MAX_BYTES:
            raise DataError(file, f"{status.st_size} bytes; a description has at most {MAX_BYTES}")
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(file, f"cannot be read: {error}") from None


def _plain(message: str) -> str:
    if message == "Field required":
        return "missing"
    bare = message.removeprefix("Value error, ")
    return bare[:1].lower() + bare[1:]
