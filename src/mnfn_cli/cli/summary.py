"""Print a summary of a zoo."""

from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.zoo.contents import ZooContents


def show_zoo(console: Console, zoo: "ZooContents") -> None:
    """Print the number and kind of a zoo's networks, their splits, and their accuracies or PSNR."""
    splits = {name: len(zoo.rows(name)) for name in ("train", "val", "test")}
    document: dict[str, Any] = {
        "zoo": str(zoo.path),
        "networks": len(zoo),
        **_spaces(zoo),
        "splits": splits,
        "fingerprint": zoo.fingerprint,
        "columns": zoo.table.columns,
        "made": zoo.record.made.to_json(),
    }
    parts: list[str | Table] = [
        *_headlines(zoo),
        "splits: " + ", ".join(f"{name} {count}" for name, count in splits.items()),
    ]
    if "test_accuracy" in zoo.table.columns and len(zoo):
        accuracy = zoo.table["test_accuracy"].cast(float)
        deciles = [int(((accuracy >= k / 10) & (accuracy < (k + 1) / 10 + (k == 9))).sum()) for k in range(10)]
        document["test_accuracy"] = {
            "quantiles": {f"{q:g}": accuracy.quantile(q) for q in (0.1, 0.25, 0.5, 0.75, 0.9)},
            "tenths": deciles,
        }
        bars = [
            {"accuracy": f"{k / 10:.1f}-{(k + 1) / 10:.1f}", "networks": n, "": "#" * round(40 * n / len(zoo))}
            for k, n in enumerate(deciles)
        ]
        parts.append(Table(bars))
    if "psnr" in zoo.table.columns and len(zoo):
        quantiles = {f"{q:g}": zoo.table["psnr"].cast(float).quantile(q) for q in (0.1, 0.25, 0.5, 0.75, 0.9)}
        document["psnr"] = {"quantiles": quantiles}
        parts.append("PSNR in dB: " + ", ".join(f"{q} quantile {value:.1f}" for q, value in quantiles.items()))
    console.result(document, *parts)


def _spaces(zoo: "ZooContents") -> dict[str, Any]:
    if len(zoo.spaces) == 1:
        return {"spec": zoo.spec.to_json(), "group": zoo.spec.group}
    return {
        "spaces": [
            {
                "weight_space": part.spaces[0].name,
                "networks": len(part),
                "spec": part.spec.to_json(),
                "group": part.spec.group,
            }
            for part in zoo.parts
        ]
    }


def _headlines(zoo: "ZooContents") -> list[str]:
    def describe(part: "ZooContents") -> str:
        spec = part.spec
        return f"{len(part)} networks {spec}; {spec.num_parameters} numbers each, {spec.group} group"

    if len(zoo.spaces) == 1:
        return [f"{zoo.path}: {describe(zoo)}"]
    lines = [f"weight space {part.spaces[0].name}: {describe(part)}" for part in zoo.parts]
    return [f"{zoo.path}: {len(zoo)} networks of {len(zoo.spaces)} weight spaces", *lines]
