"""The exceptions of mnfn, each with the exit code of the command line.

The command line prints each fault on one line, ``mnfn: error: WHERE: what is wrong, what to do``. Any other exception
is a bug in mnfn: exit code 1 and a traceback.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self

__all__ = [
    "DataError",
    "InterruptedRun",
    "MnfnError",
    "NumericError",
    "OutputError",
    "ProcessError",
    "RecipeError",
    "StorageError",
    "UsageError",
]


def one_line(text: object) -> str:
    """Return ``text`` on one line, with control characters and surrogates escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in str(text))


def unicode_text(text: str) -> str:
    r"""Return ``text`` with what is no character escaped, such as the bytes of a file name that are not UTF-8.

    >>> unicode_text("caf\udce9")
    'caf\\udce9'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def shortened(text: str, longest: int = 300) -> str:
    """Return ``text`` without its middle if it has more than ``longest`` characters: errors end in what to do."""
    if len(text) <= longest:
        return text
    cut = f"... ({len(text)} characters) ..."
    head = 2 * (longest - len(cut)) // 3
    return text[:head] + cut + text[head + len(cut) - longest :]


def printable(text: object) -> str:
    r"""Return ``text`` as :func:`one_line` does, shortened to 300 characters.

    Names of files, tensors and networks may hold control characters, which must not reach a terminal.

    >>> printable("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return shortened(one_line(text))


class MnfnError(Exception):
    """The base class of all errors of mnfn.

    Args:
        where: the file, option or argument at fault, followed by a colon and the tensor, row or key where there is one.
        problem: what is wrong and what to do, without a final full stop.

    Attributes:
        faults: a line ``WHERE: PROBLEM`` for each fault; several after ``together``.
        details: facts that are too long for a line, by key, which ``--json`` prints.

    >>> from mnfn_cli.errors import MnfnError
    >>> both = MnfnError.together([MnfnError("a.pt", "is damaged"), MnfnError("b.pt", "is empty")])
    >>> both.faults
    ('a.pt: is damaged', 'b.pt: is empty')
    """

    exit_code = 1
    details: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, where: object, problem: str) -> None:
        self.where = one_line(where)
        self.problem = " ".join(map(one_line, problem.splitlines()))
        self.faults: tuple[str, ...] = (f"{self.where}: {self.problem}",)
        super().__init__(self.faults[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error go to another process."""
        return _again, (type(self), self.args, self.__dict__)

    def elsewhere(self, where: object) -> Self:
        """Return an error with the same problem and details at another place."""
        again = type(self)(where, self.problem)
        again.details = self.details
        return again

    @classmethod
    def together(cls, errors: Iterable["MnfnError"]) -> Self:
        """Return one error of this class with the faults of all ``errors``, so that they are reported together."""
        found = list(errors)
        joined = cls(found[0].where, found[0].problem)
        joined.faults = tuple(fault for error in found for fault in error.faults)
        joined.args = ("\n".join(joined.faults),)
        joined.details = next((error.details for error in found if error.details), joined.details)
        return joined


def _again(kind: type[MnfnError], args: tuple[Any, ...], state: Mapping[str, Any]) -> MnfnError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(MnfnError):
    """A command or a function was called with wrong arguments (exit code 2).

    >>> from mnfn_cli.errors import UsageError
    >>> fault = UsageError('--count', '0 networks; at least 1')
    >>> str(fault), fault.exit_code
    ('--count: 0 networks; at least 1', 2)
    """

    exit_code = 2


class RecipeError(UsageError):
    """A recipe or an override is wrong (exit code 2).

    >>> from mnfn_cli.errors import RecipeError
    >>> fault = RecipeError('my.yaml:task', 'missing')
    >>> str(fault), fault.exit_code
    ('my.yaml:task: missing', 2)
    """


class DataError(MnfnError):
    """An input file or folder is missing, damaged or of the wrong kind (exit code 3).

    >>> from mnfn_cli.errors import DataError
    >>> fault = DataError('zoo/table.csv', "no column 'id'")
    >>> str(fault), fault.exit_code
    ("zoo/table.csv: no column 'id'", 3)
    """

    exit_code = 3


class StorageError(MnfnError):
    """The file system refused to read or write (exit code 4).

    >>> from mnfn_cli.errors import StorageError
    >>> fault = StorageError('zoo', 'no space left on device')
    >>> str(fault), fault.exit_code
    ('zoo: no space left on device', 4)
    """

    exit_code = 4


class NumericError(MnfnError):
    """A loss, a gradient, a weight or a prediction is not finite, or a network's function changed (exit code 5).

    >>> from mnfn_cli.errors import NumericError
    >>> fault = NumericError('net.pt', 'the prediction is not finite')
    >>> str(fault), fault.exit_code
    ('net.pt: the prediction is not finite', 5)
    """

    exit_code = 5


class OutputError(MnfnError):
    """An output exists, is in use, or would overwrite something else (exit code 6).

    >>> from mnfn_cli.errors import OutputError
    >>> fault = OutputError('zoo', 'exists; replace it with --force')
    >>> str(fault), fault.exit_code
    ('zoo: exists; replace it with --force', 6)
    """

    exit_code = 6


class ProcessError(MnfnError):
    """One of several processes that share a job died or hangs (exit code 7).

    >>> from mnfn_cli.errors import ProcessError
    >>> fault = ProcessError('rank 1', 'has died')
    >>> str(fault), fault.exit_code
    ('rank 1: has died', 7)
    """

    exit_code = 7


class InterruptedRun(MnfnError):  # noqa: N818 - an interruption is not an error
    """The job was stopped by Ctrl-C (exit code 130) or SIGTERM (143); all files on disk are complete.

    Args:
        where, problem: as of ``MnfnError``.
        exit_code: 130, or 143 after SIGTERM.

    >>> from mnfn_cli.errors import InterruptedRun
    >>> fault = InterruptedRun("runs/relu", "interrupted; mnfn train --resume runs/relu continues it", exit_code=143)
    >>> fault.exit_code
    143
    """

    exit_code = 130

    def __init__(self, where: object, problem: str, exit_code: int = 130) -> None:
        super().__init__(where, problem)
        self.exit_code = exit_code
