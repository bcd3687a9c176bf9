"""Change the weights of a zoo's networks by random group elements, and check that no network's function changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mnfn_cli.errors import NumericError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.rendering import pixel_grid
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.inr_design import START_FILE
from mnfn_cli.zoo.store import ZOO, Zoo, open_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

if TYPE_CHECKING:
    import polars as pl

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.5, torch.float16: 0.1}
"""By the dtype of the weights, the largest relative error max |f - g| / max |f| that rounding them may cause."""

BLOCK = 512
"""The number of networks in a batch: enough to hide the cost of a call, few enough for the cache."""

PROBES = 32
"""The number of random inputs, and of real ones, on which a network is compared with its source."""


@dataclass(frozen=True)
class AugmentReport:
    """The result of ``augment_zoo``.

    Args:
        zoo: the new zoo.
        largest_error: the largest relative error max |f - g| / max |f| of any network; None if it was not checked.
        constant: the number of networks whose output is constant, for which the check shows little; None if it was not
            checked.
    """

    zoo: Zoo
    largest_error: float | None
    constant: int | None


def augment_zoo(
    source: Zoo,
    output: Path,
    *,
    scale: tuple[float, float] = (1.0, 1e4),
    copies: int = 1,
    keep_original: bool = False,
    log_uniform: bool = False,
    permute: bool = True,
    verify: bool = True,
    seed: int = 0,
    force: bool = False,
    context: Context | None = None,
) -> AugmentReport:
    """Write a zoo of networks that compute the same functions as those of ``source``, with other weights.

    Every copy keeps the split and the labels of its source, and the column ``source_id`` names the source. With
    ``verify``, each new network, with its weights as stored, runs in float64 beside its source on random and on real
    inputs. The columns ``relative_error`` and ``constant`` hold the results.

    Args:
        source: the zoo whose networks are changed.
        output: the folder to create.
        scale: for the scaling group, the interval (low, high) of the factors of hidden neurons.
        copies: the number of copies of each network.
        keep_original: put the unchanged networks of the source in front of the copies.
        log_uniform, permute: how group elements are drawn, as in ``MonomialElement.sample``.
        verify: compare every network with its source.
        seed: the seed of the group elements. The permutation and factors of a copy depend on nothing but the seed, the
            number of the copy, the row and the arguments of ``MonomialElement.sample``.
        force: replace an existing zoo.
        context: where progress is reported and interrupts are noticed, and the command line to record.

    Raises:
        NumericError: the function of a network changed by more than ``TOLERANCE``; all such networks are named.
        UsageError: ``copies`` is less than 1.
        OutputError: the output exists, or is equal to, inside or around the source.
        InterruptedRun: the user interrupted the augmentation; nothing was written.
    """
    if copies < 1:
        raise UsageError("--copies", f"{copies} copies; at least 1")
    context = context or Context()
    check_outputs([Output(output, ZOO)], [source.path], force=force)
    context.progress.start("augmenting", len(source) * (copies + keep_original))
    several = len(source.spaces) > 1
    proofs: list[_Proof] = []
    with new_folder(output, ZOO, force=force) as folder:
        for part in source.parts:
            probes = _probes(part, seed) if verify else []
            name = part.spaces[0].name if several else None
            writer = ShardWriter(folder, part.spec, name)
            for copy in range(0 if keep_original else 1, copies + 1):
                for start in range(0, len(part), BLOCK):
                    context.interruption.check(output, "nothing was written")
                    block = part.read(slice(start, start + BLOCK))
                    emitted = block
                    if copy:
                        random = generator(seed, "element", copy, start, *([name] if name else []))
                        element = MonomialElement.sample(
                            part.spec, block.batch, scale, log_uniform=log_uniform, permute=permute, generator=random
                        )
                        emitted = element.act(block)
                    if verify:
                        first_row = (copy if keep_original else copy - 1) * len(source)
                        rows = [first_row + number for number in part.numbers[start : start + BLOCK]]
                        proofs.append(_Proof(rows, *compare(part.spec, block, emitted, probes), TOLERANCE[block.dtype]))
                    writer.append(emitted)
                    context.progress.advance(block.batch)
            writer.finish()
        table = _table(source, copies, keep_original)
        if verify:
            table = _proven(source, table, proofs)
        groups = list(dict.fromkeys(space.spec.group for space in source.spaces))
        made = {
            "command": context.command,
            "source_zoo": source.record.made.to_json() | {"path": str(source.path), "fingerprint": source.fingerprint},
            "group_elements": {
                "group": groups[0] if len(groups) == 1 else groups,
                "scale": list(scale) if "scale" in groups else None,
                "log_uniform": log_uniform,
                "permute": permute,
                "copies": copies,
                "seed": seed,
            },
            "verified": verify,
            # An INR zoo keeps the fingerprint of its shared initial weights, from which the new weights derive.
            **source.record.fit,
        }
        pictures, shared_start = source.path / "images.safetensors", source.path / START_FILE
        finish_zoo(
            folder,
            source.spaces,
            table,
            made=made,
            images=source.record.images.to_json(),
            pictures=map_tensors(pictures) if pictures.exists() else None,
            start=map_tensors(shared_start) if shared_start.exists() else None,
        )
    largest = max((float(proof.errors.max()) for proof in proofs), default=None)
    count = sum(int(proof.constant.sum()) for proof in proofs) if proofs else None
    return AugmentReport(open_zoo(output), largest, count)


def compare(
    spec: NetworkSpec, before: WeightSpaceFeatures, after: WeightSpaceFeatures, probes: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Compare the functions ``f`` and ``g`` of two batches of networks, in float64.

    Args:
        spec: the weight space of the networks.
        before, after: raw weights of the two batches, ``(batch, 1, ...)``.
        probes: batches of inputs, each ``(inputs, *input shape)``.

    Returns:
        the relative error max |f - g| / max |f| over all inputs, ``(batch,)``, 0 where both are 0; and whether f is
        constant, ``(batch,)``.
    """
    outputs = [
        torch.cat([run_networks(spec, networks.to(dtype=torch.float64), probe) for probe in probes], dim=1)
        for networks in (before, after)
    ]
    f, g = outputs
    difference = (f - g).abs().flatten(1).amax(dim=1)
    largest = f.abs().flatten(1).amax(dim=1)
    error = torch.where(difference == 0, 0.0, difference / largest)
    spread = (f.amax(dim=1) - f.amin(dim=1)).amax(dim=1)
    return error.nan_to_num(nan=torch.inf, posinf=torch.inf), spread <= 1e-12 * largest


def _probes(zoo: Zoo, seed: int) -> list[Tensor]:
    """Return a batch of random inputs, and a batch of real inputs if the zoo holds some."""
    pictures = zoo.path / "images.safetensors"
    real = map_tensors(pictures).get("inputs") if pictures.exists() else None
    if "size" in (facts := zoo.record.fit):
        grid = pixel_grid(facts["size"], dtype=torch.float64)
        real = grid[torch.linspace(0, len(grid) - 1, min(len(grid), PROBES)).long()]
    if real is not None:
        shape = tuple(real.shape[1:])
    elif zoo.spec.kernels:
        shape = (zoo.spec.widths[0], *_picture_size(zoo.spec))
    else:
        shape = (zoo.spec.widths[0],)
    random = torch.randn(PROBES, *shape, dtype=torch.float64, generator=generator(seed, "probes"))
    return [random] if real is None else [random, real[:PROBES].double()]


def _picture_size(spec: NetworkSpec) -> tuple[int, int]:
    """Return a (height, width) of pictures that networks with convolutions can read."""
    if spec.input_size is not None:
        return spec.input_size[0], spec.input_size[1]
    maps = {side: spec.feature_map_sizes((side, side)) for side in range(1, 1000)}
    if spec.flatten:
        side = next(side for side, sizes in maps.items() if min(map(min, sizes)) > 0 and sizes[-1] == (1, 1))
        return side, side
    side = 2 * next(side for side, sizes in maps.items() if min(map(min, sizes)) > 0)
    return side, side


def _table(source: Zoo, copies: int, keep_original: bool) -> "pl.DataFrame":
    import polars as pl

    stale = [name for name in ("source_id", "relative_error", "constant") if name in source.table.columns]
    bare = source.table.drop(stale)
    frames = [bare.with_columns(source_id=pl.col("id"))] if keep_original else []
    for copy in range(1, copies + 1):
        frames.append(bare.with_columns(source_id=pl.col("id"), id=pl.col("id") + f"-g{copy}"))
    return pl.concat(frames)


@dataclass(frozen=True)
class _Proof:
    """What the comparison of some networks with their sources found, by the rows of the new table."""

    rows: list[int]
    errors: Tensor
    constant: Tensor
    tolerance: float


def _proven(source: Zoo, table: "pl.DataFrame", proofs: list[_Proof]) -> "pl.DataFrame":
    import polars as pl

    errors, constant, ids = [0.0] * table.height, [False] * table.height, table["id"].to_list()
    changed: list[tuple[int, NumericError]] = []
    for proof in proofs:
        found = zip(proof.rows, proof.errors.tolist(), proof.constant.tolist(), strict=True)
        for row, errors[row], constant[row] in found:
            if errors[row] > proof.tolerance:
                problem = f"max |f - g| / max |f| = {errors[row]:.1e}, more than {proof.tolerance:g}"
                changed.append((row, NumericError(f"{source.path}:{ids[row]}", f"function changed: {problem}")))
    if changed:
        raise NumericError.together(error for _, error in sorted(changed, key=lambda found: found[0]))
    return table.with_columns(
        pl.Series("relative_error", errors, dtype=pl.Float64), pl.Series("constant", constant, dtype=pl.Boolean)
    )
