"""What a command sets up before its work: plugins, a device, progress, and Ctrl-C at safe points only."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import command_line

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Context
    from mnfn_cli.storage.outputs import Output


def run_plugins(console: Console, plugins: Sequence[str] | None) -> None:
    """Run code of the user's own, and say so; models that it declares are known afterwards."""
    from mnfn_cli.runtime.plugins import load_plugin

    for name in plugins or ():
        console.note(f"running the code of {name}")
        load_plugin(name)


def claim(outputs: Sequence["Output"], inputs: Iterable[str | Path | None], *, force: bool = False) -> None:
    """Check all that a command writes against all that it reads, and against what must not be touched, before any work.

    Args:
        outputs: what the command writes.
        inputs: what it reads, beside plugins that were loaded; None stands for an option that was not given.
        force: whether ``--force`` was given.

    Raises:
        OutputError, StorageError: as ``check_outputs`` does.
    """
    from mnfn_cli.report.evaluation import EVALUATION
    from mnfn_cli.runtime.plugins import plugin_files
    from mnfn_cli.storage.outputs import check_outputs
    from mnfn_cli.tasks.sweep import SWEEP
    from mnfn_cli.training.run_folder import RUN
    from mnfn_cli.zoo.single_files import CHECKPOINTS
    from mnfn_cli.zoo.store import ZOO

    read = [given for given in inputs if given is not None]
    kinds = (ZOO, RUN, SWEEP, CHECKPOINTS, EVALUATION)
    check_outputs(outputs, [*read, *plugin_files()], force=force, kinds=kinds)


def recipe_files(names: Iterable[str]) -> list[Path]:
    """Return which of the recipes are files of the user's own."""
    from mnfn_cli.recipe import list_recipes

    shipped = {entry.name for entry in list_recipes()}
    return [Path(name) for name in names if name not in shipped]


@contextmanager
def job(console: Console, device: str = "cpu") -> Iterator["Context"]:
    """Yield the context of a command's work."""
    from mnfn_cli.runtime.context import Context, interruptible, resolve_device

    chosen = resolve_device(device)
    with interruptible() as interruption:
        yield Context(chosen, console.progress(), interruption, command_line())
