"""The errors that mnfn raises on purpose; each class knows the exit code of its kind.

The terminal prints every fault as one line, ``mnfn: error: WHERE: what is wrong, what to do``. Anything that is
not an :class:`MnfnError` is a bug of ours: exit code 1 and a traceback.
"""

from collections.abc import Iterable
from typing import Self


def one_line(text: object) -> str:
    """Return ``text`` on one line, with control characters and surrogates escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in str(text))


def printable(text: object) -> str:
    r"""Return ``text`` on one line as :func:`one_line` does, and cut what is longer than 300 characters.

    File, tensor and network names come from foreign files: they must not move the cursor of a terminal.

    >>> printable("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    shown = one_line(text)
    return shown if len(shown) <= 300 else f"{shown[:280]}... ({len(shown)} characters)"


class MnfnError(Exception):
    """A fault with a place and an explanation.

    Args:
        where: the file, and after a colon the tensor, row or key, that is at fault.
        problem: what is wrong and what to do, without a final full stop.
    """

    exit_code = 1

    def __init__(self, where: object, problem: str) -> None:
        self.where = printable(where)
        self.problem = " ".join(printable(line) for line in problem.splitlines())
        self.faults: tuple[str, ...] = (f"{self.where}: {self.problem}",)
        super().__init__(self.faults[0])

    @classmethod
    def together(cls, errors: Iterable["MnfnError"]) -> Self:
        """Join several faults into one error, so that all are reported in one pass."""
        found = list(errors)
        joined = cls(found[0].where, found[0].problem)
        joined.faults = tuple(fault for error in found for fault in error.faults)
        joined.args = ("\n".join(joined.faults),)
        return joined


class UsageError(MnfnError):
    """A command or a call that cannot be meant (exit code 2)."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe or an override that is wrong (exit code 2)."""


class DataError(MnfnError):
    """Input that cannot be read as what it should be (exit code 3)."""

    exit_code = 3


class StorageError(MnfnError):
    """The file system refused (exit code 4)."""

    exit_code = 4


class NumericError(MnfnError):
    """A loss, a gradient or a weight that is not finite (exit code 5)."""

    exit_code = 5


class OutputError(MnfnError):
    """An output that exists already or is in use (exit code 6)."""

    exit_code = 6


class InterruptedRun(MnfnError):  # noqa: N818 - an interruption is no error of anybody's
    """The user or the system asked to stop; what is on disk is whole (exit code 130, or 143 for SIGTERM)."""

    exit_code = 130

    def __init__(self, where: object, problem: str, exit_code: int = 130) -> None:
        super().__init__(where, problem)
        self.exit_code = exit_code
