"""What commands set up before their work: plugins, the check of outputs, device, progress and interruption."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mnfn_cli.cli.console import Console, print_error
from mnfn_cli.cli.options import command_line
from mnfn_cli.errors import MnfnError
from mnfn_cli.runtime.place import Place, place

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Context
    from mnfn_cli.runtime.processes import Processes
    from mnfn_cli.storage.outputs import Output


claims = ExitStack()
"""The locks of a command's outputs, which are held until this is closed."""


def run_plugins(console: Console, plugins: Sequence[str] | None) -> None:
    """Run the code of plugins, and print a note about each. Recipes can then name the models that they declare."""
    from mnfn_cli.runtime.plugins import load_plugin

    for name in plugins or ():
        console.note(f"running the code of {name}")
        load_plugin(name)


def claim(outputs: Sequence["Output"], inputs: Iterable[str | Path | None], *, force: bool = False) -> None:
    """Check before any work that a command's outputs can be written and damage nothing (``check_outputs``).

    Their locks are held until the command ends (``claims``).

    Args:
        outputs: everything that the command writes.
        inputs: everything that it reads; None stands for an option that was not given.
        force: whether ``--force`` was given.

    Raises:
        OutputError: an output exists, is in use, or is equal to, inside or around an input or another output.
        StorageError: an output cannot be written.
    """
    if place().rank:  # rank 0 writes, and may have begun to
        return
    from mnfn_cli.report.evaluation import EVALUATION
    from mnfn_cli.runtime.plugins import plugin_files
    from mnfn_cli.storage.locks import locked_for_parts
    from mnfn_cli.storage.outputs import check_outputs
    from mnfn_cli.tasks.sweep import SWEEP
    from mnfn_cli.training.run_folder import RUN
    from mnfn_cli.zoo.contents import ZOO
    from mnfn_cli.zoo.single_files import CHECKPOINTS

    read = [given for given in inputs if given is not None]
    kinds = (ZOO, RUN, SWEEP, CHECKPOINTS, EVALUATION)
    check_outputs(outputs, [*read, *plugin_files()], force=force, kinds=kinds)
    claims.enter_context(locked_for_parts([output.path for output in outputs]))
    # Another command may have made a file since it was looked at; who writes a folder looks again.
    check_outputs([output for output in outputs if output.kind is None], force=force)


def recipe_files(names: Iterable[str]) -> list[Path]:
    """Return the paths among names of recipes: those that are not names of shipped recipes."""
    from mnfn_cli.recipe import list_recipes

    shipped = {entry.name for entry in list_recipes()}
    return [Path(name) for name in names if name not in shipped]


_joined: dict[Place, "Processes"] = {}


def joined(here: Place) -> "Processes":
    """Return the processes of the job, met once."""
    from mnfn_cli.runtime.meeting import join

    if here not in _joined:
        _joined[here] = join(here, print_error)
    return _joined[here]


def end_together(error: MnfnError, here: Place) -> int:
    """End all processes of the job with the error that ended it first, printed by one of them; return the exit code."""
    try:
        watch = joined(here).watch
    except MnfnError:  # there is nobody to agree with
        watch = None
    if watch is None:
        print_error(error)
        return error.exit_code
    return watch.end(error)


@contextmanager
def job(
    console: Console, device: str = "cpu", *, shared: bool = False, tensorboard: bool = False
) -> Iterator["Context"]:
    """Yield the context of a command's work.

    Of several processes, all work inside the block if it is ``shared``, otherwise rank 0 does. Rank 0 alone goes on
    after the block, and writes and prints.

    Args:
        console: the console of the command.
        device: the device that the user asked for.
        shared: whether several processes share the work.
        tensorboard: whether runs that begin get an event file.
    """
    from mnfn_cli.runtime.context import Context, interruptible, resolve_device
    from mnfn_cli.runtime.meeting import connect, part
    from mnfn_cli.runtime.memory import keep_freed_memory
    from mnfn_cli.runtime.processes import Processes, sharing

    keep_freed_memory()
    here = place() if shared else Place()
    if place().rank and not shared:
        raise typer.Exit
    chosen = resolve_device(device, here)
    processes = joined(here) if here.world_size > 1 else Processes()
    with interruptible(processes.watch) as interruption, sharing(processes):
        if here.world_size > 1:
            connect(processes, chosen)
        yield Context(chosen, console.progress(), interruption, command_line(), processes, tensorboard)
        part(processes)
    if here.rank:
        raise typer.Exit
