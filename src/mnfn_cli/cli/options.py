"""Options that several commands share, each defined once."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", "-o", help="Where the result goes; must not exist.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing output, once the new one is complete.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:i.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
ZooPath = Annotated[Path, typer.Argument(metavar="ZOO", help="A zoo's folder.", show_default=False)]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.", show_default=False)]
CheckpointsPath = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINTS", help="One .safetensors file, a folder of them, or a zoo.", show_default=False
    ),
]
CsvOut = Annotated[Path | None, typer.Option("--out", "-o", help="A CSV file; stdout by default.")]
RunPaths = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Finished runs' folders.", show_default=False)]
OnBad = Annotated[
    str, typer.Option("--on-bad", metavar="fail|skip", help="What to do with networks that cannot be used.")
]
Split = Annotated[str | None, typer.Option("--split", help="Only this split of a zoo: train, val or test.")]


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE_OR_MODULE",
        help="A Python file or an importable module that declares models of your own. Its code is run.",
    ),
]


def skips(on_bad: str) -> bool:
    """Return whether ``--on-bad`` says skip; raises UsageError for any other word than fail."""
    return choice("--on-bad", on_bad, ("fail", "skip")) == "skip"


def choice(option: str, value: str, known: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``known``; raises UsageError otherwise."""
    from mnfn_cli.errors import UsageError

    if value not in known:
        raise UsageError(option, f"'{value}'; choose one of {', '.join(known)}")
    return value


def checked_split(split: str | None) -> str | None:
    """Return a split's name or None; raises UsageError for an unknown one."""
    return split if split is None else choice("--split", split, ("train", "val", "test"))


def command_line() -> str:
    """Return this command as it was typed, for the record."""
    return shlex.join(["mnfn", *sys.argv[1:]])


def examples(*lines: str) -> str:
    """Return the end of a help page: commands that work as typed, a line each."""
    return "\n".join(["Examples:", *(f"  {line}" for line in lines)])
