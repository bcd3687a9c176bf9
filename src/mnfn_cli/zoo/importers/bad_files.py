"""Report all files that cannot be imported in one error, or leave them out."""

from collections.abc import Sequence
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.naming import UnsettledError


def require_usable(errors: Sequence[DataError], skip_bad: bool, left: int, path: Path) -> None:
    """Raise one error that names everything that cannot be imported, unless it is to be skipped and something is left.

    A question that the same option settles for several files is asked once.

    Raises:
        DataError: there are errors and ``skip_bad`` is False; or nothing is left.
    """
    if errors and not (skip_bad and left):
        raise _together(errors)
    if not left:
        raise DataError(path, "holds no network")


def _together(errors: Sequence[DataError]) -> DataError:
    alike: dict[str, list[DataError]] = {}
    for number, error in enumerate(errors):
        key = error.problem if isinstance(error, UnsettledError) else str(number)
        alike.setdefault(key, []).append(error)
    asked = []
    for first, *others in alike.values():
        more = f"{len(others)} more file{'s' * (len(others) > 1)}"
        asked.append(first.elsewhere(f"{first.where} and {more}") if others else first)
    return DataError.together(asked)
