"""mnfn pretrained: list the finished runs that come with mnfn. Nothing here imports torch."""

from typing import Any

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import Json, Quiet, examples

EXAMPLES = examples("mnfn pretrained", "mnfn pretrained --json")


def pretrained(quiet: Quiet = False, json: Json = False) -> None:
    """List the finished runs that come with mnfn.

    A run is used by its name wherever a command takes RUN, such as mnfn predict NAME CHECKPOINTS. A folder of that path
    wins over the name.
    """
    from mnfn_cli.pretrained import list_pretrained

    console = Console(quiet=quiet, json=json)
    rows: list[dict[str, Any]] = []
    for run in list_pretrained():
        result = run.result
        name, figure = next(iter(result["test"].items()))
        rows.append(
            {
                "name": run.name,
                "reads": result.get("reads", "weights alone"),
                "figure": name,
                "value": figure["value"],
                "networks": result["data"]["networks"]["test"],
                "megabytes": round(run.size / 1e6, 1),
                "path": str(run.path),
            }
        )
    if not rows:
        console.note("no runs come with this mnfn")
    columns = {"name": "run", "reads": "reads", "figure": "figure", "value": "on test networks"}
    console.table(rows, columns=columns | {"networks": "test networks", "megabytes": "MB"}, formats={"value": ".3f"})
