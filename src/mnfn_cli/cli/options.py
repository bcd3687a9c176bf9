"""Options that several commands share, each defined once."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from mnfn_cli.cli import completion


@dataclass(frozen=True)
class Writes:
    """What an option makes a command write, said where the option is declared; the reference of commands shows it.

    Args:
        what: the file or folder, as in "a zoo".
        section: the anchor in docs/formats.md of the section that says what is in it; empty for files that are plain.
    """

    what: str
    section: str = ""


A_ZOO = Writes("a zoo", "a-zoo")
A_RUN = Writes("a run", "a-run")
CHECKPOINT_FILES = Writes("a folder with a file for each network", "single-checkpoints")
A_TABLE = Writes("a table as CSV, with a row for each network")
A_PICTURE = Writes("a picture as PNG")

Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Write the result here. Nothing may stand there yet.", show_default=False),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace an output that exists already, once the new one is complete.")
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="Compute on this device: auto (a GPU where there is one), cpu, cuda, or cuda:1 for the second GPU.",
        autocompletion=completion.devices,
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Seed the random numbers; the same seed gives the same result.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no notes and no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
ZooPath = Annotated[Path, typer.Argument(metavar="ZOO", help="The folder of a zoo.", show_default=False)]


def _find_run(path: Path | None) -> Path | None:
    from mnfn_cli.pretrained import find_run

    return path if path is None else find_run(path)


def find_runs(paths: list[Path] | None) -> list[Path | None]:
    return [_find_run(path) for path in paths or ()]


RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="The folder of a finished run, or the name of one that comes with mnfn (mnfn pretrained).",
        callback=_find_run,
        show_default=False,
    ),
]
CheckpointsPath = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINTS",
        help="The networks: one .safetensors, .pt or .pth file, a folder of such files, or a zoo.",
        show_default=False,
    ),
]
CsvOut = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write the table into this CSV file instead of printing it."),
    A_TABLE,
]
RunPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN",
        help="The folders of finished runs, or names of such that come with mnfn (mnfn pretrained).",
        callback=find_runs,
        show_default=False,
    ),
]
RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="The name of a recipe that comes with mnfn, or a YAML file.",
        autocompletion=completion.recipes,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Replace values of the recipe, such as optimizer.lr=3e-4.",
        autocompletion=completion.overrides,
    ),
]
Activation = Annotated[
    str,
    typer.Option(
        "--activation",
        help="Build networks with this activation: relu, leaky_relu or tanh.",
        autocompletion=completion.activations,
    ),
]
ON_BAD_HELP = "Stop at networks that cannot be used, or skip them and name them."
Zoos = Annotated[
    list[Path] | None,
    typer.Option("--zoo", help="Learn from the networks of this zoo; give the option again for more zoos."),
]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        metavar="NAMES",
        help="Say the order of the layers of single files, where shapes do not settle it, such as conv1,conv2,fc; a "
        "batch normalisation is added to its layer, as in conv1+bn1.",
    ),
]
BatchNorm = Annotated[
    Literal["after-layer"] | None,
    typer.Option(
        "--batchnorm",
        help="Say that every batch normalisation in single files directly follows its layer, before activation and "
        "pooling, so that it can be folded into the layer.",
    ),
]
OnBad = Annotated[Literal["fail", "skip"], typer.Option("--on-bad", help=ON_BAD_HELP)]
Split = Annotated[
    Literal["train", "val", "test"] | None, typer.Option("--split", help="Take only the networks of this split.")
]


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE_OR_MODULE",
        help="Run the code of this Python file or importable module, which declares models of your own.",
    ),
]


def _has_tensorboard(log: str | None) -> str | None:
    if log is not None:
        from mnfn_cli.training.events import require_tensorboard

        require_tensorboard()
    return log


Log = Annotated[
    Literal["tensorboard"] | None,
    typer.Option(
        "--log",
        help="Also write figures of the training as events that TensorBoard shows: pip install 'mnfn[tensorboard]'.",
        callback=_has_tensorboard,
        show_default=False,
    ),
]


def names(text: str | None) -> tuple[str, ...]:
    """Return the names in a text with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def command_line() -> str:
    """Return the command line of this process, quoted for a shell."""
    return shlex.join(["mnfn", *sys.argv[1:]])


def examples(*lines: str) -> str:
    """Return the end of a help page: the heading ``Examples:`` and a command on each line."""
    return "\n".join(["Examples:", *(f"  {line}" for line in lines)])
