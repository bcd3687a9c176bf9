"""What commands set up before their work: plugins, the check of outputs, device, progress and interruption."""

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
    """Run the code of plugins, and print a note about each. Recipes can then name the models that they declare."""
    from mnfn_cli.runtime.plugins import load_plugin

    for name in plugins or ():
        console.note(f"running the code of {name}")
        load_plugin(name)


def claim(outputs: Sequence["Output"], inputs: Iterable[str | Path | None], *, force: bool = False) -> None:
    """Check before any work that a command's outputs can be written and damage nothing (``check_outputs``).

    Args:
        outputs: everything that the command writes.
        inputs: everything that it reads; None stands for an option that was not given.
        force: whether ``--force`` was given.

    Raises:
        OutputError: an output exists, or is equal to, inside or around an input or another output.
        StorageError: an output cannot be written.
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
    """Return the paths among names of recipes: those that are not names of shipped recipes."""
    from mnfn_cli.recipe import list_recipes

    shipped = {entry.name for entry in list_recipes()}
    return [Path(name) for name in names if name not in shipped]


@contextmanager
def job(console: Console, device: str = "cpu") -> Iterator["Context"]:
    """Yield the context of a command's work."""
    from mnfn_cli.runtime.context import Context, interruptible, resolve_device
    from mnfn_cli.runtime.memory import keep_freed_memory

    keep_freed_memory()
    chosen = resolve_device(device)
    with interruptible() as interruption:
        yield Context(chosen, console.progress(), interruption, command_line())
