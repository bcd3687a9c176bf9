"""mnfn report: one page to look at, of zoos, runs, sweeps, evaluations and tables of predictions."""

from pathlib import Path
from typing import Annotated

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, run_plugins
from mnfn_cli.cli.options import Force, Json, Out, Plugins, Quiet, examples, find_runs
from mnfn_cli.cli.table import Table

EXAMPLES = examples(
    "mnfn report runs/relu -o report.html",
    "mnfn report zoos/digits-relu runs/relu runs/relu-robustness predictions.csv -o report.html",
    "mnfn report demo -o demo/report.html --force",
)


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Zoos, runs, sweeps, evaluations and tables of predictions; a folder that is none of them stands for "
            "those that it holds. Names of runs that come with mnfn are taken too.",
            callback=find_runs,
            show_default=False,
        ),
    ],
    out: Out,
    title: Annotated[str, typer.Option(help="The title of the page.")] = "",
    plugin: Plugins = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write one page to look at: accuracies, curves, predictions and truth, robustness, pictures, tables and cards.

    The page is a single HTML file with everything in it: it loads nothing, from anywhere, and reads well on a screen,
    on a phone and on paper. Tables are sorted by a click on a heading, and long ones are cut off, which is said. The
    same inputs give the same bytes.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.report.page.report import write_report
    from mnfn_cli.report.page.sources import find_sources
    from mnfn_cli.storage.outputs import Output

    run_plugins(console, plugin)
    claim([Output(out)], [source.path for source in find_sources(paths)], force=force)
    with job(console) as context:
        written = write_report(paths, out, title=title, force=force, context=context)
    rows = written.table.rows(named=True)
    facts = {"output": str(out), "bytes": out.stat().st_size, "sections": rows}
    shown = Table(rows, title=f"{printable(out)}: {out.stat().st_size / 2**20:.1f} MiB")
    console.result(facts, shown)
