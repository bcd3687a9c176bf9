"""Write the page of zoos, runs, sweeps, evaluations and tables of predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnfn_cli.pretrained import find_run
from mnfn_cli.report.page.document import document, title_of
from mnfn_cli.report.page.sources import find_sources, sections_of
from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.frames import Tabled, to_polars
from mnfn_cli.storage.outputs import Output, check_outputs

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Report(Tabled):
    """A page that ``write_report`` wrote.

    Args:
        path: its file.
        kinds: what each section reports: a zoo, a run, a sweep, an evaluation, predictions.
        paths: where that is.
        states: the state of a run or a sweep, such as ``done``; None for what has none.

    >>> Report(Path("page.html"), ["run"], [Path("runs/relu")], ["done"]).table.row(0)
    ('run', 'runs/relu', 'done')
    """

    path: Path
    kinds: Sequence[str]
    paths: Sequence[Path]
    states: Sequence[str | None]

    @property
    def table(self) -> "pl.DataFrame":
        """A polars table with a row for each section: ``kind``, ``path`` and ``state``."""
        return to_polars({"kind": self.kinds, "path": list(map(str, self.paths)), "state": self.states})


def write_report(
    paths: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    title: str = "",
    force: bool = False,
    context: Context | None = None,
) -> Report:
    """Write one page to look at, of zoos, runs, sweeps, evaluations and tables of predictions: ``mnfn report``.

    The page is a single HTML file with everything in it: it loads nothing, from anywhere. The same inputs give the same
    bytes.

    Args:
        paths: what to report; a folder that is none of these stands for those that it holds. Names of runs that come
            with mnfn are taken too.
        output: the file to write.
        title: the title of the page; by default it is made of the names.
        force: replace an existing file.
        context: where progress is reported and interrupts are noticed.

    Returns:
        the sections of the page.

    Raises:
        DataError: something cannot be read, or is nothing that can be reported; all of it is named.
        OutputError: the file exists, or lies in what is reported.
        InterruptedRun: the user interrupted the work; nothing was written.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import write_report
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     write_report(["generalization/digits-relu-hybrid", example_zoo().path], f"{folder}/page.html").kinds
    ['run', 'zoo']
    """
    output, context = Path(output), context or Context()
    found = [find_run(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    sources = find_sources(found)
    check_outputs([Output(output)], [source.path for source in sources], force=force)
    sections = sections_of(sources, context)
    write_text(output, document(sections, title or title_of([path.resolve().name for path in found])))
    states = [section.state or None for section in sections]
    return Report(output, [one.kind for one in sections], [one.path for one in sections], states)
