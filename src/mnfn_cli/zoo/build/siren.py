"""Build a zoo of INRs: fit a SIREN to every picture, in chunks; interrupted, it continues where it was."""

import hashlib
from collections.abc import Callable
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mnfn_cli.errors import NumericError, UsageError
from mnfn_cli.runtime.progress import Progress, Silent
from mnfn_cli.runtime.seeds import derive_seed
from mnfn_cli.storage.folders import check_output, new_folder, remove
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.build.siren_fit import draw_siren, fit_networks, networks_at_once
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan
from mnfn_cli.zoo.build.splits import SPLIT_FRACTIONS, draw_splits
from mnfn_cli.zoo.build.unfinished import clear_build, mark_build, refuse_other_build
from mnfn_cli.zoo.images import ImageSet, numbered
from mnfn_cli.zoo.inr import start_tensors
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

if TYPE_CHECKING:
    import polars as pl

MAX_PIXELS = 2**20
"""Pixels of the largest picture that is fitted: every hidden neuron keeps a few numbers for each of them."""
LOWEST_MSE = 1e-12
"""A picture that is met exactly counts as met to this, 126 dB, so that its PSNR is a number."""


def build_siren_zoo(
    plan: SirenZooPlan,
    images: ImageSet,
    output: Path,
    *,
    force: bool = False,
    command: str = "build_siren_zoo",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    check: Callable[[], None] = lambda: None,
) -> Zoo:
    """Fit ``plan.copies`` networks to every picture and write them as a zoo.

    It grows in ``NAME.partial``; the same call continues there. All networks of one picture share one split.

    Args:
        plan: what to build.
        images: pictures of the design's size and channels; labels become the column ``class``.
        output: the folder to make.
        force: replace an existing output.
        command: how it was called, for zoo.json.
        device: where to fit.
        progress: listener.
        check: called between steps; may raise to interrupt.

    Raises:
        UsageError: pictures too large to fit.
        NumericError: a fit left the finite numbers; the pictures are named, and nothing stays on disk.
        OutputError: the output exists, is in use, or another build is unfinished under its name.
    """
    progress = progress or Silent()
    check_output(output, force)
    height, width = images.pixels.shape[2:]
    if height * width > MAX_PIXELS:
        raise UsageError(images.source, f"{height}x{width} pixels; at most {MAX_PIXELS} are fitted, give --size")
    job = _Job(plan, images, torch.device(device))
    identity = job.identity()
    refuse_other_build(output, identity)
    with new_folder(output, force=force, keep_partial=True) as folder:
        mark_build(folder, identity)
        progress.start("fitting networks", len(job.members))
        try:
            features, errors = job.fit_missing(folder, progress, check)
        except NumericError:
            # The same command would fail again: nothing here is worth continuing.
            remove(folder)
            raise
        writer = ShardWriter(folder, plan.design.spec)
        writer.append(features)
        writer.finish()
        clear_build(folder)
        start = plan.design.start_weights
        finish_zoo(
            folder,
            plan.design.spec,
            job.table(errors),
            made={
                "command": command,
                "seed": plan.seed,
                "copies": plan.copies,
                "split": SPLIT_FRACTIONS,
                **plan.design.to_json(),
            },
            images=images.describe() | {"pixel_range": list(plan.design.pixel_range), "normalisation": None},
            pictures={"pictures": job.pictures},
            start=None if start is None else start_tensors(plan.design.spec, start),
        )
    return open_zoo(output)


class _Job:
    """One build: which network holds which picture, and from which start."""

    def __init__(self, plan: SirenZooPlan, images: ImageSet, device: torch.device) -> None:
        self._plan, self._images, self._device = plan, images, device
        low, high = plan.design.pixel_range
        self._peak = high - low
        self.pictures = images.pixels * self._peak + low
        self.members = [(picture, copy) for picture in range(len(images.pixels)) for copy in range(plan.copies)]

    def identity(self) -> dict[str, Any]:
        """Return all that decides, on this machine, what comes out."""
        pixels = self._images.pixels.contiguous().numpy().tobytes()
        return {
            "spec": self._plan.design.spec.to_json(),
            **self._plan.design.to_json(),
            "copies": self._plan.copies,
            "seed": self._plan.seed,
            "images": self._images.describe() | {"checksum": hashlib.sha256(pixels).hexdigest()},
            "device": self._device.type,
        }

    def fit_missing(
        self, folder: Path, progress: Progress, check: Callable[[], None]
    ) -> tuple[WeightSpaceFeatures, Tensor]:
        """Fit every chunk that is not on disk yet; return all networks and their mean squared errors."""
        design = self._plan.design
        at_once = networks_at_once(design.spec, design.size[0] * design.size[1], self._device)
        chunks = ceil(len(self.members) / at_once)
        edges = [len(self.members) * part // chunks for part in range(chunks + 1)]
        parts, errors = [], []
        for number, rows in enumerate(range(*edge) for edge in pairwise(edges)):
            file = folder / f"chunk-{number:05d}.safetensors"
            if not file.exists():
                features, error = self._fit(rows, check)
                save_tensors(file, {"mse": error.cpu()} | {f"{i}": t.cpu() for i, t in enumerate(features.tensors())})
            saved, _ = read_tensors(file)
            errors.append(saved.pop("mse"))
            tensors = [saved[f"{i}"] for i in range(len(saved))]
            parts.append(WeightSpaceFeatures(tensors[0::2], tensors[1::2]))
            progress.advance(len(rows), psnr=float(psnr(errors[-1], self._peak).median()))
        return WeightSpaceFeatures.cat(parts), torch.cat(errors)

    def _fit(self, rows: range, check: Callable[[], None]) -> tuple[WeightSpaceFeatures, Tensor]:
        design = self._plan.design
        assert design.steps is not None and design.learning_rate is not None
        if design.start_weights is not None:
            start = design.start_weights.select([0] * len(rows))
        else:
            start = draw_siren(design.spec, [torch.Generator().manual_seed(self._seed(row)) for row in rows])
        targets = self.pictures[[self.members[row][0] for row in rows]].to(self._device)
        features = fit_networks(
            design.spec,
            start.to(device=self._device),
            targets,
            steps=design.steps,
            learning_rate=design.learning_rate,
            check=check,
        )
        error = (render(design.spec, features, design.size) - targets).square().mean(dim=(1, 2, 3))
        # One number that is not finite, anywhere in a network, makes every pixel that it draws so.
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
        """Return the seed of a network's own start."""
        picture, copy = self.members[row]
        # By name, so that a network does not depend on how many other pictures are fitted.
        return derive_seed(self._plan.seed, "start", self._images.ids[picture], copy)

    def table(self, errors: Tensor) -> "pl.DataFrame":
        """Return a row a network."""
        import polars as pl

        images, members, copies = self._images, self.members, self._plan.copies
        splits = draw_splits(len(images.pixels), self._plan.seed)
        suffixes = [f"-c{copy}" for copy in numbered(copies)] if copies > 1 else [""]
        shared = self._plan.design.init == "shared"
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


def psnr(errors: Tensor, peak: float = 2.0) -> Tensor:
    """Return the peak signal-to-noise ratio, ``10 log10(peak^2 / mse)``, in dB.

    Args:
        errors: mean squared errors.
        peak: white less black; 2 for pictures on [-1, 1].
    """
    return 10 * torch.log10(peak**2 / errors.double().clamp_min(LOWEST_MSE))
