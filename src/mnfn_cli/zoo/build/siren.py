"""Build a zoo of INRs by fitting a SIREN to every picture.

The networks are fitted in chunks, each of which is saved when it is done. A build that was interrupted continues after
the last chunk that was saved.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mnfn_cli.errors import NumericError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import derive_seed
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.build.siren_fit import draw_siren, fit_networks, networks_at_once
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan
from mnfn_cli.zoo.build.unfinished import clear_build, continued_build
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.images import ImageSet, image_paths, numbered
from mnfn_cli.zoo.splits import SPLIT_FRACTIONS, draw_splits
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

if TYPE_CHECKING:
    import polars as pl

MAX_PIXELS = 2**20
"""The number of pixels of the largest picture that is fitted. The memory of a fit grows with it."""
LOWEST_MSE = 1e-12
"""The smallest mean squared error that counts in a PSNR, so that a perfect fit has a finite one, 126 dB."""


def fit_siren_zoo(
    plan: SirenZooPlan,
    images: ImageSet,
    output: Path,
    *,
    force: bool = False,
    context: Context | None = None,
) -> Zoo:
    """Fit ``plan.copies`` networks to every picture and write them as a zoo.

    It grows in ``NAME.mnfn-partial``; the same call continues there. All networks of one picture share one split.

    Args:
        plan: the architecture of the networks, and how they are fitted.
        images: pictures of the size and the channels of the design; labels become the column ``class``.
        output: the folder to make.
        force: whether to replace an existing output.
        context: where to compute, whom to report to, who may interrupt, asked between steps, and how it was called.

    Returns:
        the zoo.

    Raises:
        UsageError: the pictures are too large to fit.
        NumericError: a fit left the finite numbers; the pictures are named, and nothing stays on disk.
        OutputError: the output exists, is in use, or another build is unfinished under its name.
    """
    context = context or Context()
    processes = context.processes
    if processes.first:
        check_outputs([Output(output, ZOO, continues=True)], image_paths(images.source), force=force)
    height, width = images.pixels.shape[2:]
    if height * width > MAX_PIXELS:
        raise UsageError(images.source, f"{height}x{width} pixels; at most {MAX_PIXELS} are fitted, give --size")
    job = _Job(plan, images, context.device)

    def check() -> None:
        context.interruption.check(output, "what is fitted is kept; the same command continues")

    with continued_build(output, job.identity(), processes, force=force) as folder:
        context.progress.start("fitting networks", len(job.members))
        chunks = job.fit_missing(folder, context, check)
        if processes.first:
            features, errors = _read_chunks(chunks)
            writer = ShardWriter(folder, plan.design.spec)
            writer.append_missing(features)
            writer.finish()
            finish_zoo(
                folder,
                plan.design.spec,
                job.table(errors),
                made={
                    "command": context.command,
                    "seed": plan.seed,
                    "copies": plan.copies,
                    "split": SPLIT_FRACTIONS,
                    **plan.design.fit.to_json(),
                },
                images=images.describe() | {"pixel_range": list(plan.design.fit.pixel_range), "normalisation": None},
                pictures={"pictures": job.pictures},
                start=plan.design.start_tensors(),
            )
            clear_build(folder)
    return open_zoo(output)


class _Job:
    """One build: it knows the picture and the initial weights of every network, and fits them."""

    def __init__(self, plan: SirenZooPlan, images: ImageSet, device: torch.device) -> None:
        self._plan, self._images, self._device = plan, images, device
        low, high = plan.design.fit.pixel_range
        self._peak = high - low
        self.pictures = images.pixels * self._peak + low
        self.members = [(picture, copy) for picture in range(len(images.pixels)) for copy in range(plan.copies)]

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the result, to compare with an unfinished build."""
        return {
            "spec": self._plan.design.spec.to_json(),
            **self._plan.design.fit.to_json(),
            "copies": self._plan.copies,
            "seed": self._plan.seed,
            "images": self._images.describe() | {"checksum": self._images.checksum()},
            "device": self._device.type,
        }

    def fit_missing(self, folder: Path, context: Context, check: Callable[[], None]) -> list[Path]:
        """Fit every chunk that is not on disk yet; return the files of all chunks."""
        design = self._plan.design
        at_once = networks_at_once(design.spec, design.fit.size[0] * design.fit.size[1], self._device)
        chunks = ceil(len(self.members) / at_once)
        edges = [len(self.members) * part // chunks for part in range(chunks + 1)]
        files = [folder / f"chunk-{number:05d}.safetensors" for number in range(chunks)]

        def fit(number: int) -> None:
            rows, file = range(edges[number], edges[number + 1]), files[number]
            if not file.exists():
                features, error = self._fit(rows, check)
                save_tensors(file, {"mse": error.cpu()} | {f"{i}": t.cpu() for i, t in enumerate(features.tensors())})
            error = read_tensors(file)[0]["mse"]
            context.progress.advance(len(rows), psnr=float(psnr(error, self._peak).median()))

        context.processes.each(fit, range(chunks))
        return files

    def _fit(self, rows: range, check: Callable[[], None]) -> tuple[WeightSpaceFeatures, Tensor]:
        design = self._plan.design
        assert design.fit.steps is not None and design.fit.learning_rate is not None
        if design.start_weights is not None:
            start = design.start_weights.select([0] * len(rows))
        else:
            start = draw_siren(design.spec, [torch.Generator().manual_seed(self._seed(row)) for row in rows])
        targets = self.pictures[[self.members[row][0] for row in rows]].to(self._device)
        features = fit_networks(
            design.spec,
            start.to(device=self._device),
            targets,
            steps=design.fit.steps,
            learning_rate=design.fit.learning_rate,
            check=check,
        )
        error = (render(design.spec, features, design.fit.size) - targets).square().mean(dim=(1, 2, 3))
        # If any weight of a network is not finite, neither is any pixel of its output.
        bad = dict.fromkeys(self.members[rows[row]][0] for row in torch.nonzero(~error.isfinite()).flatten().tolist())
        if bad:
            raise NumericError.together(
                NumericError(
                    f"{self._images.source}:{self._images.ids[picture]}", "the fit is not finite; lower --lr or --omega"
                )
                for picture in bad
            )
        return features, error

    def _seed(self, row: int) -> int:
        """Return the seed of a network's own initial weights."""
        picture, copy = self.members[row]
        # It derives from the name of the picture, so that it does not depend on the number of the other pictures.
        return derive_seed(self._plan.seed, "start", self._images.ids[picture], copy)

    def table(self, errors: Tensor) -> "pl.DataFrame":
        """Return the table of the zoo, with one row for each network."""
        import polars as pl

        images, members, copies = self._images, self.members, self._plan.copies
        splits = draw_splits(len(images.pixels), self._plan.seed)
        suffixes = [f"-c{copy}" for copy in numbered(copies)] if copies > 1 else [""]
        shared = self._plan.design.fit.init == "shared"
        columns: dict[str, list[Any]] = {
            "id": [images.ids[picture] + suffixes[copy] for picture, copy in members],
            "split": [splits[picture] for picture, _ in members],
            "image_id": [images.ids[picture] for picture, _ in members],
        }
        if images.labels is not None:
            columns["class"] = [images.classes[int(images.labels[picture])] for picture, _ in members]
        columns["psnr"] = psnr(errors, self._peak).tolist()
        columns["mse"] = errors.tolist()
        columns["seed"] = [self._plan.seed if shared else self._seed(row) for row in range(len(members))]
        return pl.DataFrame(columns)


def _read_chunks(files: Sequence[Path]) -> tuple[WeightSpaceFeatures, Tensor]:
    """Return the weights and the mean squared errors of all networks."""
    parts, errors = [], []
    for file in files:
        saved, _ = read_tensors(file)
        errors.append(saved.pop("mse"))
        tensors = [saved[f"{i}"] for i in range(len(saved))]
        parts.append(WeightSpaceFeatures(tensors[0::2], tensors[1::2]))
    return WeightSpaceFeatures.cat(parts), torch.cat(errors)


def psnr(errors: Tensor, peak: float = 2.0) -> Tensor:
    """Return the peak signal-to-noise ratio, ``10 log10(peak^2 / mse)``, in dB.

    Args:
        errors: mean squared errors, of any shape.
        peak: the difference between white and black; 2 for pictures on [-1, 1].

    Returns:
        values in dB, of the shape of ``errors``.
    """
    return 10 * torch.log10(peak**2 / errors.double().clamp_min(LOWEST_MSE))
