"""What a new zoo will hold, before anything is copied, and the one way in which it is written."""

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.build.unfinished import clear_build, continued_build
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.record import Space
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.table import SPACE_COLUMN, check_table
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

if TYPE_CHECKING:
    import polars as pl

BLOCK_BYTES = 16 * 2**20
"""The size of the networks that are read at once, in bytes."""

SHARD_BYTES = 64 * 2**20
"""The largest size of a shard in bytes. A shard is in memory until it is written."""


@dataclass(frozen=True)
class Plan:
    """Networks in foreign files or in other zoos, before any of them is copied.

    Args:
        sources: the files, folders or zoos that the user named.
        spaces: the weight spaces of the networks.
        table: a row for each network, as in a zoo.
        read: a function that returns some networks of a weight space, ``(rows, 1, ...)``, given the weight space's name
            and a range of its networks, counted in the order of the table. It may be called again for the same range,
            and is called in another thread.
        made: what zoo.json records of the making, such as the foreign format and the split protocol.
        identity: all that decides which bytes come out, such as the sizes and times of the files; an interrupted call
            is continued if it is the same.
        images: the source of the pictures, their size and pixel range.
        pictures: the tensors of images.safetensors by name; empty for none.
        start: the tensors of start.safetensors by name, the initial weights that all INRs share; empty for none.
        skipped: an error for each network that is left out because it cannot be used.
        notes: sentences that the user should read.
        what: the word for the work in the progress bar.

    >>> from mnfn_cli.zoo import plan_filter
    >>> from mnfn_cli.testing import example_zoo
    >>> plan = plan_filter(example_zoo(), "split = 'test'")
    >>> plan.table["id"].to_list(), len(plan.skipped)
    (['10', '11'], 0)
    """

    sources: Sequence[Path]
    spaces: tuple[Space, ...]
    table: "pl.DataFrame"
    read: Callable[[str, range], WeightSpaceFeatures]
    made: Mapping[str, Any]
    identity: Mapping[str, Any]
    images: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    start: Mapping[str, Tensor] = field(default_factory=dict)
    skipped: Sequence[DataError] = ()
    notes: Sequence[str] = ()
    what: str = "importing"


def write_plan(plan: Plan, output: str | Path, *, force: bool = False, context: Context | None = None) -> Zoo:
    """Copy the networks of a plan into a new zoo, block by block, so that they need not fit in memory.

    An interrupted call is continued by the same call, from its last complete shard, to the same bytes.

    Args:
        plan: the networks.
        output: the folder to create.
        force: replace an existing zoo.
        context: where progress is reported and interrupts are noticed, and the command line to record.

    Returns:
        the new zoo, opened.

    Raises:
        DataError: a network cannot be read, or the table is not that of a zoo.
        OutputError: the output exists, or is equal to, inside or around a source.
        InterruptedRun: the user interrupted the work; the same command continues it.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli.zoo import plan_filter, write_plan
    >>> from mnfn_cli.testing import example_zoo
    >>> plan = plan_filter(example_zoo(), "test_accuracy > 0.5")
    >>> with TemporaryDirectory() as folder:
    ...     len(write_plan(plan, f"{folder}/good"))
    3
    """
    output, context = Path(output), context or Context()
    processes = context.processes
    if processes.first:
        check_outputs([Output(output, ZOO, continues=True)], plan.sources, force=force)
    check_table(plan.sources[0], plan.table, plan.spaces)
    context.progress.start(plan.what, plan.table.height)
    several = len(plan.spaces) > 1
    growing = continued_build(output, plan.identity, processes, force=force)
    with growing as folder, ThreadPoolExecutor(1) as threads:
        writers = []
        for space in plan.spaces:
            count = int((plan.table[SPACE_COLUMN] == space.name).sum()) if several else plan.table.height
            writer = ShardWriter(folder, space.spec, space.name if several else None, SHARD_BYTES, threads=threads)
            context.progress.advance(writer.count)
            rows = range(processes.share(writer.count), count)
            with closing(_read_blocks(plan, space, rows, processes)) as blocks:
                for features in blocks:
                    context.interruption.check(output, "the same command continues it")
                    writer.append(features)
                    context.progress.advance(features.batch)
            writers.append(writer)
        if processes.first:
            sums: dict[str, str] = {}
            for writer in writers:
                sums |= writer.finish()
            finish_zoo(
                folder,
                plan.spaces,
                plan.table,
                made={"command": context.command, **plan.made, **_skipped(plan)},
                images=plan.images,
                pictures=plan.pictures or None,
                start=plan.start or None,
                sums=sums,
            )
            clear_build(folder)
    return open_zoo(output)


def _read_blocks(plan: Plan, space: Space, rows: range, processes: Processes) -> Generator[WeightSpaceFeatures]:
    """Yield networks of a weight space in blocks; a thread reads each block while the one before is written.

    Several processes read blocks in turn, and yield them on rank 0.
    """
    size = max(BLOCK_BYTES // (4 * space.spec.num_parameters), 1)
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    if processes.count > 1:
        yield from processes.map(lambda block: plan.read(space.name, block), blocks)
        return
    with ThreadPoolExecutor(1) as thread:
        ahead = None
        for block in [*blocks, None]:
            read, ahead = ahead, block and thread.submit(plan.read, space.name, block)
            if read is not None:
                yield read.result()


def _skipped(plan: Plan) -> dict[str, list[str]]:
    """Return the key ``skipped`` of the section ``made`` in zoo.json; nothing if no network was left out."""
    return {"skipped": [fault for error in plan.skipped for fault in error.faults]} if plan.skipped else {}
