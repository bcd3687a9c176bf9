"""Change the weights of a zoo's networks by random group elements, and check that no network's function changed."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnfn_cli.errors import DataError, NumericError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement, check_shifts
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.inr_design import START_FILE
from mnfn_cli.zoo.plan import SHARD_BYTES
from mnfn_cli.zoo.probes import TOLERANCE
from mnfn_cli.zoo.proof import Proof, Proofs, SourceFunctions, inputs_of_proof, overflowed
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

if TYPE_CHECKING:
    import polars as pl

BLOCK = 512
"""The number of networks in a batch: enough to hide the cost of a call, few enough for the cache."""


@dataclass(frozen=True)
class AugmentReport:
    """The result of ``augment_zoo``.

    Args:
        zoo: the new zoo.
        largest_error: the largest relative error max |f - g| / max |f| of any network; None if it was not checked.
        constant: the number of networks whose output is constant, for which the check shows little; None if it was not
            checked.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import augment_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     report = augment_zoo(example_zoo(), f"{folder}/scaled", verify=False)
    >>> len(report.zoo), report.largest_error
    (12, None)
    """

    zoo: Zoo
    largest_error: float | None
    constant: int | None


def augment_zoo(
    source: Zoo | str | Path,
    output: str | Path,
    *,
    scale: tuple[float, float] = (1.0, 1e4),
    copies: int = 1,
    keep_original: bool = False,
    log_uniform: bool = False,
    permute: bool = True,
    shifts: int = 0,
    verify: bool = True,
    seed: int = 0,
    force: bool = False,
    context: Context | None = None,
) -> AugmentReport:
    """Write a zoo of networks that compute the same functions as those of ``source``, with other weights.

    Several processes move blocks of networks in turn, and rank 0 writes.

    Every copy keeps the split and the labels of its source, and the column ``source_id`` names the source. With
    ``verify``, each new network, with its weights as stored, runs beside its source on 32 inputs, 8 of them real ones
    if the zoo holds some, the others random: in float32, and in float64 where that leaves a doubt
    (``SourceFunctions``). The results are the columns ``relative_error`` and ``constant``.

    Args:
        source: the zoo whose networks are changed, open or by path.
        output: the folder to create.
        scale: for the scaling group, the interval (low, high) of the factors of hidden neurons.
        copies: the number of copies of each network.
        keep_original: put the unchanged networks of the source in front of the copies.
        log_uniform, permute: how group elements are drawn, as in ``MonomialElement.sample``.
        shifts: for SIRENs, the largest shift ``K`` of a bias, in units of ``pi / omega``, as in
            ``MonomialElement.sample``. Layers whose biases are all 0 are not shifted, since they may have none.
        verify: compare every network with its source.
        seed: the seed of the group elements. The permutation and factors of a copy depend on nothing but the seed, the
            number of the copy, the row and the arguments of ``MonomialElement.sample``.
        force: replace an existing zoo.
        context: where to compute, where progress is reported and interrupts are noticed, and the command line to
            record. The elements are drawn on the CPU, so they do not depend on the device.

    Returns:
        the new zoo, and the largest relative error.

    Raises:
        DataError: a weight of a network is not finite; all such networks are named.
        NumericError: a moved weight is too large for its dtype, or the function of a network changed by more than
            ``TOLERANCE``; all such networks are named.
        UsageError: ``copies`` is less than 1; ``shifts`` are given for networks that have none, or are too many.
        OutputError: the output exists, or is equal to, inside or around the source.
        InterruptedRun: the user interrupted the augmentation; nothing was written.

    Source:
        paper, Section 6.1 (``U[1, x]``).

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import augment_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     report = augment_zoo(example_zoo(), f"{folder}/scaled", scale=(1.0, 1e4))
    >>> len(report.zoo), report.largest_error < 1e-4
    (12, True)
    """
    source, output = open_zoo(source), Path(output)
    if copies < 1:
        raise UsageError("--copies", f"{copies} copies; at least 1")
    for space in source.spaces:
        check_shifts(space.spec, shifts)
    context = context or Context()
    processes = context.processes
    if processes.first:
        check_outputs([Output(output, ZOO)], [source.path], force=force)
    context.progress.start("augmenting", len(source) * (copies + keep_original))
    several = len(source.spaces) > 1
    proofs = Proofs(len(source) * (copies + keep_original))
    sums: dict[str, str] = {}
    new = processes.entered_by_first(lambda: new_folder(output, ZOO, force=force))
    with new as folder, ThreadPoolExecutor(1) as threads:
        for part in source.parts:
            functions = None
            if verify:
                inputs = inputs_of_proof(part, seed, context.device)
                functions = SourceFunctions(part.spec, inputs, again=copies + keep_original > 1)
            name = part.spaces[0].name if several else None

            def move(
                place: tuple[int, int],
                part: Zoo = part,
                functions: SourceFunctions | None = functions,
                name: str | None = name,
            ) -> tuple[WeightSpaceFeatures, Proof]:
                copy, start = place
                context.interruption.check(output, "nothing was written")
                block = part.read(slice(start, start + BLOCK)).to(device=context.device)
                emitted = block
                if copy:
                    random = generator(seed, "element", copy, start, *([name] if name else []))
                    element = MonomialElement.sample(
                        part.spec,
                        block.batch,
                        scale,
                        log_uniform=log_uniform,
                        permute=permute,
                        shifts=shifts,
                        generator=random,
                    )
                    emitted = element.for_biases_of(block).act(block)
                first_row = (copy if keep_original else copy - 1) * len(source)
                rows = first_row + part.numbers[start : start + BLOCK]
                if functions is None:
                    return emitted.to(device="cpu"), Proof(rows, overflowed(emitted))
                found = functions.compare(start, block, emitted)
                proof = Proof(rows, overflowed(emitted), *found, TOLERANCE[block.dtype])
                return emitted.to(device="cpu"), proof

            writer = ShardWriter(folder, part.spec, name, SHARD_BYTES, threads=threads)
            starts = range(0, len(part), BLOCK)
            places = [(copy, start) for copy in range(0 if keep_original else 1, copies + 1) for start in starts]
            for emitted, proof in processes.map(move, places, period=len(starts)):
                writer.append(emitted)
                proofs.add(proof)
                context.progress.advance(emitted.batch)
            if processes.first:
                sums |= writer.finish()
        if processes.first:
            drawn = {
                "scale": list(scale),
                "log_uniform": log_uniform,
                "permute": permute,
                "shifts": shifts,
                "copies": copies,
                "seed": seed,
            }
            table = _table(source, copies, keep_original)
            try:
                proofs.require_finite(table, source.path)
                if verify:
                    table = proofs.onto(table, source.path)
            except NumericError:
                if faults := source.faults():
                    raise DataError.together(faults.values()) from None
                raise
            _finish(folder, source, table, sums, {"command": context.command, "verified": verify}, drawn)
            del table  # the new zoo is opened below, with a table of its own
    if not verify:
        return AugmentReport(open_zoo(output), None, None)
    return AugmentReport(open_zoo(output), float(proofs.errors.max()), int(proofs.constant.sum()))


def _finish(
    folder: Path,
    source: Zoo,
    table: "pl.DataFrame",
    sums: Mapping[str, str],
    made: Mapping[str, Any],
    drawn: Mapping[str, Any],
) -> None:
    """Write what stands beside the shards: how the zoo was ``made``, and how its elements were ``drawn``."""
    groups = list(dict.fromkeys(space.spec.group for space in source.spaces))
    scale = drawn["scale"] if "scale" in groups else None
    pictures, shared_start = source.path / "images.safetensors", source.path / START_FILE
    finish_zoo(
        folder,
        source.spaces,
        table,
        made={
            "command": made["command"],
            "source_zoo": source.record.made.to_json() | {"path": str(source.path), "fingerprint": source.fingerprint},
            "group_elements": {"group": groups[0] if len(groups) == 1 else groups, **drawn, "scale": scale},
            "verified": made["verified"],
            # An INR zoo keeps the fingerprint of its shared initial weights, from which the new weights derive.
            **source.record.fit,
        },
        images=source.record.images.to_json(),
        pictures=map_tensors(pictures) if pictures.exists() else None,
        start=map_tensors(shared_start) if shared_start.exists() else None,
        sums=sums,
    )


def _table(source: Zoo, copies: int, keep_original: bool) -> "pl.DataFrame":
    import polars as pl

    stale = [name for name in ("source_id", "relative_error", "constant") if name in source.table.columns]
    bare = source.table.drop(stale)
    frames = [bare.with_columns(source_id=pl.col("id"))] if keep_original else []
    for copy in range(1, copies + 1):
        frames.append(bare.with_columns(source_id=pl.col("id"), id=pl.col("id") + f"-g{copy}"))
    return pl.concat(frames)
