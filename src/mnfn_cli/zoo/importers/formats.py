"""The formats that networks of others come in: which options belong to each, and which function plans its import."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnfn_cli.errors import UsageError

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Context
    from mnfn_cli.zoo.importers.inr_facts import InrOptions
    from mnfn_cli.zoo.plan import Plan

Format = Literal["small-cnn-zoo", "nfn-siren", "dws-inr", "model-zoos", "folder"]
Given = Mapping[str, Any]
"""The options that were given, by their names on the command line, with underscores: numbers, tuples, paths."""

FOLDER = ("folder",)
CNN_ZOO = ("small-cnn-zoo",)
INRS = ("nfn-siren", "dws-inr", "folder")
CLASSIFIERS = ("model-zoos", "folder")

BELONGS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("labels", "id", "label", "activation", "omega", "layers", "batchnorm"), FOLDER),
    **dict.fromkeys(("stride", "padding", "output_offset"), FOLDER),
    **dict.fromkeys(("pool", "input_size", "input_mean", "input_std", "split"), CLASSIFIERS),
    "seed": ("dws-inr", *CLASSIFIERS),
    "epoch": ("model-zoos",),
    "augmented": ("nfn-siren",),
    **dict.fromkeys(("size", "pixel_range", "coordinates"), INRS),
    "split_file": ("small-cnn-zoo", "dws-inr"),
    **dict.fromkeys(("protocol", "step", "where", "stray_row"), CNN_ZOO),
}
"""The formats to which each option belongs."""


def plan_import(
    format_name: str, path: Path, given: Given, *, skip_bad: bool = False, context: "Context | None" = None
) -> "Plan":
    """Plan an import.

    Args:
        format_name: a key of ``PLANNERS``.
        path: the folder of the files.
        given: the options that were given; all belong to the format (``refuse_foreign``).
        skip_bad: leave out networks that cannot be used.
        context: where progress is reported and interrupts are noticed.

    Raises:
        UsageError: an option is missing or wrong.
        DataError: the files cannot be imported.
    """
    module, function, arguments = PLANNERS[format_name]
    said = arguments(given)
    planner = getattr(import_module(f"mnfn_cli.zoo.importers.{module}"), function)
    plan: Plan = planner(path, **said, skip_bad=skip_bad, context=context)
    return plan


def refuse_foreign(format_name: str, given: Iterable[str]) -> None:
    """Raise ``UsageError`` if there is no such format, or an option that is given belongs to others; it names them."""
    if format_name not in PLANNERS:
        raise UsageError("FORMAT", f"'{format_name}' is no format; known: {listed([*PLANNERS])}")
    foreign = [
        UsageError(f"--{name.replace('_', '-')}", f"belongs to {listed(BELONGS[name])}, not to {format_name}")
        for name in given
        if format_name not in BELONGS[name]
    ]
    if foreign:
        raise UsageError.together(foreign)


def input_files(given: Given) -> list[Path]:
    """Return the files that options name as inputs."""
    return [given[name] for name in ("labels", "split_file") if name in given]


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _small_cnn_zoo(given: Given) -> dict[str, Any]:
    if "protocol" not in given:
        raise UsageError("--protocol", "say by which library's rule the networks are split: nfn, monomial or scalegmn")
    return {name: given[name] for name in ("protocol", "step", "where", "split_file", "stray_row") if name in given}


def _nfn_siren(given: Given) -> dict[str, Any]:
    return {"augmented": "augmented" in given, "inrs": _inrs(given)}


def _dws_inr(given: Given) -> dict[str, Any]:
    return {"split_file": given.get("split_file"), "seed": given.get("seed", 0), "inrs": _inrs(given)}


def _model_zoos(given: Given) -> dict[str, Any]:
    epoch = given.get("epoch", "last")
    if not isinstance(epoch, int) and epoch not in ("last", "all"):
        raise UsageError("--epoch", f"'{epoch}'; give the number of an epoch, last or all")
    return {
        "epoch": epoch,
        "architecture": _architecture(given),
        "fractions": given.get("split"),
        "seed": given.get("seed", 0),
    }


def _folder(given: Given) -> dict[str, Any]:
    from mnfn_cli.weightspace.layout import Reading
    from mnfn_cli.zoo.importers.folder_labels import LabelOptions

    return {
        "architecture": _architecture(given),
        "reading": Reading(tuple(given.get("layers", ())), "batchnorm" in given),
        "labels": LabelOptions(
            given.get("labels"), given.get("id"), given.get("label"), given.get("split"), given.get("seed", 0)
        ),
        "inrs": _inrs(given),
    }


def _architecture(given: Given) -> Any:
    from mnfn_cli.zoo.importers.architecture import Architecture

    of_networks = ("activation", "omega", "stride", "padding", "pool", "output_offset")
    names = (*of_networks, "input_size", "input_mean", "input_std")
    return Architecture.of(**{name: given[name] for name in names if name in given})


def _inrs(given: Given) -> "InrOptions":
    from mnfn_cli.zoo.importers.architecture import picture_size
    from mnfn_cli.zoo.importers.inr_facts import InrOptions

    size, coordinates = picture_size("--size", given.get("size"), (2,)), given.get("coordinates", "yx")
    black, white = pixel_range = given.get("pixel_range", (0.0, 1.0))
    if not black < white:
        raise UsageError("--pixel-range", f"{black:g} {white:g}; black is less than white")
    if coordinates not in ("yx", "xy"):
        raise UsageError("--coordinates", f"'{coordinates}'; use yx or xy")
    said = tuple(pixel_range) if "pixel_range" in given else None
    return InrOptions(size, said, coordinates)  # type: ignore[arg-type]


PLANNERS: Mapping[str, tuple[str, str, Callable[[Given], dict[str, Any]]]] = {
    "small-cnn-zoo": ("small_cnn_zoo", "plan_small_cnn_zoo", _small_cnn_zoo),
    "nfn-siren": ("nfn_siren", "plan_nfn_siren", _nfn_siren),
    "dws-inr": ("dws_inr", "plan_dws_inr", _dws_inr),
    "model-zoos": ("model_zoos", "plan_model_zoos", _model_zoos),
    "folder": ("folder", "plan_folder", _folder),
}
"""By format, the module and the function that plan its import, and a function that returns the arguments for it."""
