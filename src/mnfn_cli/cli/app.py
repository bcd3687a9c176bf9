"""The command ``mnfn``: its subcommands, and the exit code of every outcome."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mnfn_cli.cli import (
    augment,
    compare,
    count_params,
    env,
    evaluate,
    explain,
    export_functional,
    pretrained,
    recipe,
    report,
    sweep,
    train,
    zoo,
)
from mnfn_cli.cli.apply import networks_command, table_command
from mnfn_cli.cli.console import FAULTS, Console, print_details, print_error
from mnfn_cli.cli.help import App
from mnfn_cli.cli.job import claims, end_together
from mnfn_cli.cli.options import examples
from mnfn_cli.cli.terminal import forgiving
from mnfn_cli.errors import MnfnError, StorageError, UsageError
from mnfn_cli.runtime.memory import collect_rarely
from mnfn_cli.runtime.place import Place, place
from mnfn_cli.task_list import TASKS, TaskDeclaration

ZOOS, LEARN, APPLY, LOOK = "Zoos", "Learn", "Apply", "Look"

app = App(
    name="mnfn",
    help="Study the weights of neural networks as data: build zoos of networks, train neural functionals on them, "
    "predict how well networks generalise, classify and edit the images inside implicit neural representations.",
    epilog=examples(
        "mnfn zoo build cnn --images digits --activation relu --count 600 -o zoos/digits-relu",
        "mnfn augment zoos/digits-relu -o zoos/digits-relu-scaled --scale 1 1e4",
        "mnfn train --recipe generalization/relu-monomial --zoo zoos/digits-relu -o runs/relu",
        "mnfn evaluate runs/relu --scales 1,10,1e2,1e3,1e4 -o runs/relu-robustness",
        "mnfn predict runs/relu zoos/digits-relu-scaled -o predictions.csv",
        "mnfn zoo build siren --images digits --init shared -o zoos/digits-inr",
        "mnfn train --recipe editing/digits-dilate-monomial-strict --zoo zoos/digits-inr -o runs/dilate",
        "mnfn edit runs/dilate zoos/digits-inr --split test -o edited --picture before-after.png",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(name: str, command: Callable[..., None], panel: str, epilog: str) -> None:
    app.command(name, epilog=epilog, rich_help_panel=panel)(command)


def _add_task(task: str, declared: TaskDeclaration) -> None:
    command = table_command(task) if declared.writes == "table" else networks_command(task)
    common: dict[str, Any] = {"help": declared.help, "epilog": examples(*declared.examples), "rich_help_panel": APPLY}
    app.command(declared.command, **common)(command)
    app.command(declared.short, short_help=f"The short name of {declared.command}.", **common)(command)


app.add_typer(zoo.app, name="zoo", rich_help_panel=ZOOS)
_add("augment", augment.augment, ZOOS, augment.EXAMPLES)
app.add_typer(recipe.app, name="recipe", rich_help_panel=LEARN)
_add("train", train.train, LEARN, train.EXAMPLES)
_add("sweep", sweep.sweep, LEARN, sweep.EXAMPLES)
for _task, _declared in TASKS.items():
    _add_task(_task, _declared)
_add("export-functional", export_functional.export_functional, APPLY, export_functional.EXAMPLES)
_add("pretrained", pretrained.pretrained, APPLY, pretrained.EXAMPLES)
_add("evaluate", evaluate.evaluate, LOOK, evaluate.EXAMPLES)
_add("explain", explain.explain, LOOK, explain.EXAMPLES)
_add("report", report.report, LOOK, report.EXAMPLES)
_add("compare", compare.compare, LOOK, compare.EXAMPLES)
_add("count-params", count_params.count_params, LOOK, count_params.EXAMPLES)
_add("env", env.env, LOOK, env.EXAMPLES)


def _print_version(asked: bool) -> None:
    if asked:
        from mnfn_cli import __version__

        print(f"mnfn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Declare the options that come before a command's name."""


def main() -> None:
    """Run the command line and exit with one of the codes of docs/errors.md."""
    collect_rarely()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before we started
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        # Characters that the terminal's encoding lacks are escaped instead of raising an error.
        getattr(getattr(sys, name), "reconfigure", lambda **_: None)(errors="backslashreplace")
    if sys.__stderr__ is not None and sys.stderr is sys.__stderr__:
        sys.stderr = forgiving(sys.__stderr__)
    # Pydantic would look through all installed packages for plugins, which mnfn has no use for.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if _here().world_size > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch would tell of every lost connection
    sys.exit(_run())


def _run() -> int:
    try:
        _require_current_folder()
        with claims:
            outcome = app(standalone_mode=False, prog_name="mnfn")
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except MnfnError as error:
        return _fail(error)
    except (BrokenPipeError, SystemExit) as error:
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise  # typer makes exit code 1 of a closed pipe
        # The reader closed stdout; nothing must be written to it again, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        Console().note("interrupted")
        return 130
    except typer.Abort:
        return 130
    except OSError as error:
        return _fail(StorageError(error.filename or "stdout", error.strerror or str(error)))
    except BaseException as error:  # polars panics with one that is no Exception
        if _is_lack_of_memory(error):
            return _fail(StorageError("memory", "not enough for this; take a smaller batch, zoo or picture"))
        message = getattr(error, "format_message", None)  # typer's own usage errors; their class is not public
        if message is None and _here().world_size > 1:
            problem = f"{type(error).__name__}: {error}; MNFN_DEBUG=1 shows the traceback"
            bug = MnfnError("a bug in mnfn", problem)
            bug.__cause__ = error
            return _fail(bug)
        if message is None:
            raise
        return _fail(_usage_error(error, message()))


def _require_current_folder() -> None:
    """Let no library look for its files in a folder that is gone: MKL would end the process."""
    try:
        Path.cwd()
    except OSError as error:
        raise StorageError(".", "the current folder is gone, or cannot be read; change to another one") from error


def _is_lack_of_memory(error: BaseException) -> bool:
    """Return whether memory, or room for another thread, ran out: torch, polars and Python have no class for that."""
    texts = ("allocate memory", "out of memory", "can't start new thread", os.strerror(errno.EAGAIN))
    return isinstance(error, MemoryError) or (
        (isinstance(error, RuntimeError) or type(error).__name__ == "PanicException")
        and any(text in str(error) for text in texts)
    )


def _here() -> Place:
    try:
        return place()
    except UsageError:  # it is being reported
        return Place()


def _usage_error(error: BaseException, message: str) -> MnfnError:
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mnfn"
    said = message.replace("Value error, ", "").rstrip(".")
    return UsageError(command, f"{said}{'' if said.endswith('?') else ';'} see {command} --help")


def _fail(error: MnfnError) -> int:
    if os.environ.get("MNFN_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    if (here := _here()).world_size > 1:
        return end_together(error, here)
    print_error(error)
    try:
        if (error.details or len(error.faults) > FAULTS) and "--json" in sys.argv:
            print_details(error)
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return error.exit_code
