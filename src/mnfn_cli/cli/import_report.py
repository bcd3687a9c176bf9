"""Print what an import does: weight spaces, which tensor becomes which layer, labels, and what is left out."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.zoo.magnitudes import Magnitudes
    from mnfn_cli.zoo.plan import Plan
    from mnfn_cli.zoo.record import Space

LAYERS = {"layer": "layer", "kind": "kind", "weight": "weight", "bias": "bias", "folded": "folded in"}


def show_plan(console: Console, plan: "Plan", unusual: "Magnitudes | None" = None, **first: Any) -> None:
    """Print a plan: before the import what will be written, and after it what was written.

    Args:
        console: where to print.
        plan: the plan.
        unusual: what is unusual about the weights that were written.
        first: keys with which the JSON document begins; with ``dry_run``, layers are printed too.
    """
    table = plan.table
    counts = _networks(plan)
    splits = {name: int((table["split"] == name).sum()) for name in ("train", "val", "test")}
    spaces = [
        {"weight_space": space.name, "networks": counts[space.name], "spec": space.spec.to_json()}
        for space in plan.spaces
    ]
    parts: list[str | Table] = [
        f"{first.get('zoo', plan.sources[0])}: {table.height} networks, {len(plan.spaces)} weight space"
        f"{'s' * (len(plan.spaces) > 1)}",
        *(f"weight space {space.name}: {counts[space.name]} networks {space.spec}" for space in plan.spaces),
        f"splits, {plan.made.get('split_protocol', 'stated')}: "
        + ", ".join(f"{name} {count}" for name, count in splits.items()),
        f"columns: {', '.join(table.columns)}",
    ]
    if labels := plan.made.get("labels"):
        parts.append("labels: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in labels.items()))
    if "dry_run" in first:
        for entry, space in zip(spaces, plan.spaces, strict=True):
            rows = _layers(space)
            entry["layers"] = rows
            if rows:
                parts.append(Table(rows, LAYERS, f"\nweight space {space.name}: tensors in the files, and layers"))
            entry["ignored"] = _ignored(space)
            parts += [f"ignored: {name}, {reason}" for name, reason in _ignored(space).items()]
    skipped = [fault for error in plan.skipped for fault in error.faults]
    document = {
        **first,
        "format": plan.made.get("format"),
        "source": str(plan.sources[0]),
        "networks": table.height,
        "splits": splits,
        "columns": table.columns,
        "labels": labels,
        "weight_spaces": spaces,
        "skipped": skipped,
        "notes": list(plan.notes),
    }
    for fault in skipped:
        console.note(f"skipped {fault}")
    notes = list(plan.notes)
    if unusual is not None:
        document["numbers"] = asdict(unusual)
        notes += unusual.sentences()
    for note in notes:
        console.note(note)
    console.result(document, *parts)


def _networks(plan: "Plan") -> Mapping[str, int]:
    """Return the number of networks of each weight space by its name."""
    from mnfn_cli.zoo.table import SPACE_COLUMN

    if len(plan.spaces) == 1:
        return {plan.spaces[0].name: plan.table.height}
    return {space.name: int((plan.table[SPACE_COLUMN] == space.name).sum()) for space in plan.spaces}


def _layers(space: "Space") -> list[dict[str, Any]]:
    """Return a row for each layer, with the tensors of the files that become it and their shapes there."""
    if space.layout is None:
        return []
    spec = space.spec
    pools = spec.pools or (None,) * len(spec.kernels)
    rows = []
    for number, layer in enumerate(space.layout.layers):
        kind = "dense"
        if number < len(spec.kernels):
            kernel, stride, padding = (
                "x".join(map(str, sizes[number])) for sizes in (spec.kernels, spec.strides, spec.paddings)
            )
            kind = f"convolution {kernel}, stride {stride}, padding {padding}"
            if pools[number] is not None:
                kind += f", {pools[number]}"
            if spec.flatten and number == len(spec.kernels) - 1:
                kind = f"dense on the flattened map {kernel}"
        elif number == len(spec.kernels) > 0 and not spec.flatten:
            kind = "dense, after global average pooling"
        shape = "x".join(map(str, layer.shape))
        rows.append(
            {
                "layer": number,
                "kind": kind,
                "weight": f"{layer.weight} {shape}",
                "bias": layer.bias or "none, read as 0",
                "folded": layer.batchnorm.name if layer.batchnorm else None,
            }
        )
    return rows


def _ignored(space: "Space") -> dict[str, str]:
    """Return the tensors of the files that are not used, with the reasons."""
    norms = [layer.batchnorm for layer in (space.layout.layers if space.layout else ()) if layer.batchnorm]
    counters = [norm.tensors["num_batches_tracked"] for norm in norms if "num_batches_tracked" in norm.tensors]
    return dict.fromkeys(counters, "a counter of training that no output depends on")
