"""Which function plans the import of each format, and what it is given."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.import_options import BELONGS, listed
from mnfn_cli.cli.import_values import (
    read_epoch,
    read_fractions,
    read_numbers,
    read_pairs,
    read_size,
    read_texts,
    read_where,
)
from mnfn_cli.errors import UsageError

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Context
    from mnfn_cli.zoo.plan import Plan

Given = Mapping[str, Any]
"""The values of the options that were given, by the names of their parameters."""


def plan_import(format_name: str, path: Path, given: Given, *, skip_bad: bool, context: "Context") -> "Plan":
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


def refuse_foreign(format_name: str, given: Given) -> None:
    """Raise ``UsageError`` if an option does not belong to the format; the error names those to which it belongs."""
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


def _fractions(given: Given) -> dict[str, float] | None:
    return read_fractions("--split", given["split"]) if "split" in given else None


def _small_cnn_zoo(given: Given) -> dict[str, Any]:
    if "protocol" not in given:
        raise UsageError("--protocol", "say by which library's rule the networks are split: nfn, monomial or scalegmn")
    plain = {name: given[name] for name in ("protocol", "step", "split_file", "stray_row") if name in given}
    return plain | {"where": read_where("--where", given.get("where", ()))}


def _nfn_siren(given: Given) -> dict[str, Any]:
    return {"augmented": "augmented" in given, "inrs": _inrs(given)}


def _dws_inr(given: Given) -> dict[str, Any]:
    return {"split_file": given.get("split_file"), "seed": given.get("seed", 0), "inrs": _inrs(given)}


def _model_zoos(given: Given) -> dict[str, Any]:
    return {
        "epoch": read_epoch("--epoch", given.get("epoch")),
        "architecture": read_architecture(given),
        "fractions": _fractions(given),
        "seed": given.get("seed", 0),
    }


def _folder(given: Given) -> dict[str, Any]:
    from mnfn_cli.weightspace.layout import Reading
    from mnfn_cli.zoo.importers.folder_labels import LabelOptions

    fractions = _fractions(given)
    return {
        "architecture": read_architecture(given),
        "reading": Reading(read_texts(given.get("layers")), "batchnorm" in given),
        "labels": LabelOptions(
            given.get("labels"), given.get("id"), given.get("label"), fractions, given.get("seed", 0)
        ),
        "inrs": _inrs(given),
    }


def read_architecture(given: Given) -> Any:
    """Return the ``Architecture`` that the values of options say, by the names of their parameters."""
    from mnfn_cli.weightspace.pooling import Pooling
    from mnfn_cli.zoo.importers.architecture import Architecture

    pools = read_texts(given.get("pool"))
    for text in pools:
        Pooling.parse(text)
    return Architecture(
        activation=given.get("activation"),
        omega=given.get("omega"),
        strides=read_pairs("--stride", given.get("stride"), 1),
        paddings=read_pairs("--padding", given.get("padding"), 0),
        pools=pools,
        input_size=read_size("--input-size", given.get("input_size"), sides=(2, 3)),
        input_mean=read_numbers("--input-mean", given.get("input_mean")),
        input_std=read_numbers("--input-std", given.get("input_std")),
        output_offset=given.get("output_offset", 0.0),
    )


def _inrs(given: Given) -> Any:
    from mnfn_cli.zoo.importers.inr_facts import InrOptions

    black, white = given.get("pixel_range", (0.0, 1.0))
    if not black < white:
        raise UsageError("--pixel-range", f"{black:g} {white:g}; black is less than white")
    size = read_size("--size", given.get("size"))
    return InrOptions(size, given.get("pixel_range"), given.get("coordinates", "yx"))  # type: ignore[arg-type]


PLANNERS: Mapping[str, tuple[str, str, Callable[[Given], dict[str, Any]]]] = {
    "small-cnn-zoo": ("small_cnn_zoo", "plan_small_cnn_zoo", _small_cnn_zoo),
    "nfn-siren": ("nfn_siren", "plan_nfn_siren", _nfn_siren),
    "dws-inr": ("dws_inr", "plan_dws_inr", _dws_inr),
    "model-zoos": ("model_zoos", "plan_model_zoos", _model_zoos),
    "folder": ("folder", "plan_folder", _folder),
}
"""By format, the module and the function that plan its import, and a function that returns the arguments for it."""
