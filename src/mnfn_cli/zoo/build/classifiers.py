"""Build a zoo of image classifiers, convolutional or dense.

Hyperparameters are drawn for every network, and the networks are trained in chunks, each of which is saved when it is
done. A build that was interrupted continues after the last chunk that was saved.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import derive_seed, generator
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.batched import (
    BATCH_SIZE,
    CHUNK_NUMBERS,
    measure_accuracy,
    networks_at_once,
    plan_chunks,
    train_networks,
)
from mnfn_cli.zoo.build.hyperparameters import RANGES, Hyperparameters, draw
from mnfn_cli.zoo.build.unfinished import clear_build, continued_build
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.images import ImageSet, image_paths
from mnfn_cli.zoo.splits import SPLIT_FRACTIONS, draw_splits
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

if TYPE_CHECKING:
    import polars as pl

TRAIN_FRACTION = 0.8
PROBES = 64
MAX_COUNT = 10_000_000
DECAYED = 1e-30
"""Weights smaller than this in absolute value are stored as 0. That changes no output, and it keeps numbers away from
1e-38, below which float32 loses precision, so that a network can be scaled by 1e-4 without error."""


@dataclass(frozen=True)
class ClassifierZooPlan:
    """The choices that decide a zoo of classifiers; two builds with equal plans and pictures give equal zoos.

    Args:
        spec: the architecture of all networks.
        count: the number of networks.
        epochs: the number of passes of each network over its own part of the training pictures.
        seed: the seed of all random draws.

    Raises:
        UsageError: ``count`` or ``epochs`` is less than one, there are too many networks, or one has too many weights.
    """

    spec: NetworkSpec
    count: int
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.epochs < 1:
            raise UsageError("zoo build", "--count and --epochs must be at least 1")
        if self.count > MAX_COUNT:  # what is drawn for all of them is in memory
            raise UsageError("zoo build", f"--count must be at most {MAX_COUNT:,}")
        if self.spec.num_parameters > CHUNK_NUMBERS:
            raise UsageError(
                "zoo build",
                f"networks {self.spec} have {self.spec.num_parameters:,} weights and biases each; at most "
                f"{CHUNK_NUMBERS:,} are trained here, so choose smaller widths or a smaller --size",
            )


def build_classifier_zoo(
    plan: ClassifierZooPlan,
    images: ImageSet,
    output: Path,
    *,
    force: bool = False,
    context: Context | None = None,
) -> Zoo:
    """Train ``plan.count`` classifiers and write them as a zoo.

    It grows in ``NAME.mnfn-partial``; the same call continues there. Networks that diverge are drawn and trained again.

    Args:
        plan: the architecture and number of the networks, and how they are trained.
        images: labelled pictures; 80 % train the networks, and the other 20 % measure their accuracy.
        output: the folder to make.
        force: whether to replace an existing output.
        context: where to compute, whom to report to, who may interrupt, asked between steps, and how it was called.

    Returns:
        the zoo.

    Raises:
        OutputError: the output exists, is in use, or another build is unfinished under its name.
    """
    context = context or Context()
    processes = context.processes
    if processes.first:
        check_outputs([Output(output, ZOO, continues=True)], image_paths(images.source), force=force)
    train, held_out = divide_images(images, plan.spec, plan.seed)

    def check() -> None:
        context.interruption.check(output, "what is trained is kept; the same command continues")

    identity = {
        "spec": plan.spec.to_json(),
        "count": plan.count,
        "epochs": plan.epochs,
        "seed": plan.seed,
        "ranges": RANGES,
        "networks_at_once": _at_once(plan, train[0]),
        "images": images.describe() | {"checksum": images.checksum()},
    }
    with continued_build(output, identity, processes, force=force) as folder:
        context.progress.start("training networks", plan.count)
        drawn = draw(plan.count, plan.seed)
        features, accuracies = _train_missing(folder, plan, drawn, train, held_out, check, context)
        if processes.first:
            writer = ShardWriter(folder, plan.spec)
            writer.append_missing(features)
            writer.finish()
            finish_zoo(
                folder,
                plan.spec,
                _table(plan, drawn, accuracies),
                made={
                    "command": context.command,
                    "seed": plan.seed,
                    "epochs": plan.epochs,
                    "batch_size": BATCH_SIZE,
                    "hyperparameter_ranges": RANGES,
                    "pictures": {"train": len(train[0]), "held_out": len(held_out[0])},
                    "split": SPLIT_FRACTIONS,
                },
                images=images.describe() | {"normalisation": None},
                pictures={"inputs": held_out[0][:PROBES]},
            )
            clear_build(folder)
    return open_zoo(output)


def divide_images(
    images: ImageSet, spec: NetworkSpec, seed: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Shuffle the pictures and divide them into 80 % that train the networks and 20 % that measure them.

    Args:
        images: labelled pictures ``(count, channels, height, width)``.
        spec: the networks. Dense ones read pictures flattened, ``(count, channels * height * width)``.
        seed: the seed of the zoo.

    Returns:
        (pictures, labels) that train, and (pictures, labels) that measure; pixels in [0, 1].

    Raises:
        DataError: there are too few pictures to divide.
    """
    assert images.labels is not None
    order = torch.randperm(len(images.pixels), generator=generator(seed, "pictures"))
    pixels, labels = images.pixels[order], images.labels[order]
    inputs = pixels if spec.kernels else pixels.flatten(1)
    edge = round(TRAIN_FRACTION * len(inputs))
    if not 0 < edge < len(inputs):
        raise DataError(images.source, f"{len(inputs)} pictures; classifiers need more")
    return (inputs[:edge], labels[:edge]), (inputs[edge:], labels[edge:])


def _at_once(plan: ClassifierZooPlan, pictures: Tensor) -> int:
    """Return how many networks are trained together, which decides the networks of a chunk."""
    return networks_at_once(plan.spec, (pictures.shape[2], pictures.shape[3]) if plan.spec.kernels else None)


def _train_missing(
    folder: Path,
    plan: ClassifierZooPlan,
    drawn: list[Hyperparameters],
    train: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    check: Callable[[], None],
    context: Context,
) -> tuple[WeightSpaceFeatures, list[float]]:
    """Train every chunk that is not on disk yet.

    For a network that diverges, new hyperparameters are drawn, which also replace the old ones in ``drawn``, and it is
    trained again, until no network diverges.

    Returns:
        the weights of all networks and their accuracies, in the order of ``drawn``.
    """
    rows = list(range(plan.count))
    features = WeightSpaceFeatures.zeros(plan.spec, plan.count)
    accuracies = [0.0] * plan.count
    at_once = _at_once(plan, train[0])
    attempt = 0
    while rows:
        chunks = plan_chunks([drawn[row] for row in rows], len(train[0]), plan.epochs, chunk_size=at_once)
        files = [folder / f"chunk-{attempt}-{number:05d}.safetensors" for number in range(len(chunks))]
        members = [[rows[position] for position in chunk] for chunk in chunks]
        diverged: list[int] = []

        def train_chunk(number: int, files: list[Path] = files, members: list[list[int]] = members) -> None:
            own, file = [drawn[row] for row in members[number]], files[number]
            if not file.exists():
                trained, measured = _train_chunk(plan, own, train, held_out, context.device, check)
                tensors = trained.to(device="cpu").flatten()
                save_tensors(file, {"networks": tensors, "accuracy": measured.cpu()})
            saved, _ = read_tensors(file)
            finite = saved["networks"].isfinite().all(dim=1)
            context.progress.advance(int(finite.sum()), accuracy=float(saved["accuracy"].double().mean()))

        context.processes.each(train_chunk, range(len(chunks)))
        for file, own in zip(files, members, strict=True) if context.processes.first else ():
            saved, _ = read_tensors(file)
            finite = saved["networks"].isfinite().all(dim=1).tolist()
            diverged += [row for row, fine in zip(own, finite, strict=True) if not fine]
            _put(features, own, saved["networks"])
            for row, accuracy in zip(own, saved["accuracy"].tolist(), strict=True):
                accuracies[row] = accuracy
        rows = sorted(context.processes.share(diverged))
        attempt += 1
        for row in rows:
            drawn[row] = draw(1, derive_seed(plan.seed, "redrawn", attempt, row))[0]
    return features, accuracies


def _train_chunk(
    plan: ClassifierZooPlan,
    drawn: Sequence[Hyperparameters],
    train: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    device: torch.device | str,
    check: Callable[[], None],
) -> tuple[WeightSpaceFeatures, Tensor]:
    features = train_networks(plan.spec, *train, drawn, epochs=plan.epochs, seed=plan.seed, check=check, device=device)
    features = features.map(lambda tensor: tensor.where(tensor.abs() >= DECAYED, tensor * 0)).to(device=device)
    pictures, labels = (tensor.to(device) for tensor in held_out)
    return features, measure_accuracy(plan.spec, features, pictures, labels, chunk_size=len(drawn))


def _put(features: WeightSpaceFeatures, rows: list[int], networks: Tensor) -> None:
    """Write flat networks ``(len(rows), numbers)`` into the given rows of ``features``."""
    start = 0
    for tensor in features.tensors():
        size = tensor[0].numel()
        tensor[rows] = networks[:, start : start + size].view(len(rows), *tensor.shape[1:])
        start += size


def _table(plan: ClassifierZooPlan, drawn: list[Hyperparameters], accuracies: list[float]) -> "pl.DataFrame":
    import polars as pl

    width = len(str(plan.count - 1))
    columns: dict[str, list[Any]] = {
        "id": [f"{row:0{width}d}" for row in range(plan.count)],
        "split": draw_splits(plan.count, plan.seed),
        "activation": [plan.spec.activation] * plan.count,
        "test_accuracy": accuracies,
    }
    records = [asdict(hyperparameters) for hyperparameters in drawn]
    return pl.DataFrame(columns | {name: [record[name] for record in records] for name in records[0]})
