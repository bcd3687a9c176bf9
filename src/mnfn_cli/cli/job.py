"""What a command sets up before its work: plugins, a device, progress, and Ctrl-C at safe points only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import command_line

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Context


def run_plugins(console: Console, plugins: Sequence[str] | None) -> None:
    """Run code of the user's own, and say so; models that it declares are known afterwards."""
    from mnfn_cli.runtime.plugins import load_plugin

    for name in plugins or ():
        console.note(f"running the code of {name}")
        load_plugin(name)


@contextmanager
def job(console: Console, device: str = "cpu") -> Iterator["Context"]:
    """Yield the context of a command's work."""
    from mnfn_cli.runtime.context import Context
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.runtime.interruption import interruptible

    chosen = resolve_device(device)
    with interruptible() as interruption:
        yield Context(chosen, console.progress(), interruption, command_line())
