"""The kinds of files that are damaged: real ones to begin with, how they are damaged, and the readers of commands."""

import gzip
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import torch
from archives import EVIL, GREEDY, bombs, damage_archive, damage_array, damage_pickle, zipped_pickle
from cnn_zoo_files import LAYOUT, metrics_row, write_metrics
from mutations import (
    Mutation,
    damage_bytes,
    damage_json,
    damage_lines,
    damage_npy,
    damage_safetensors,
    damage_yaml,
)
from PIL import Image
from safetensors.torch import load_file

from mnfn_cli.cli.compare import compare  # noqa: F401 - imports what a command imports, before memory is measured
from mnfn_cli.recipe import load_recipe
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.result import read_result
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.cnn_metrics import read_metrics
from mnfn_cli.zoo.importers.cnn_split import read_order
from mnfn_cli.zoo.importers.dws_splits import SplitFile
from mnfn_cli.zoo.importers.folder import plan_folder
from mnfn_cli.zoo.importers.keras_layout import read_layout
from mnfn_cli.zoo.importers.label_file import read_label_file
from mnfn_cli.zoo.importers.npy_rows import NpyRows
from mnfn_cli.zoo.importers.tune_results import read_results
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.verification import verify_zoo

FIRST = Path(__file__).parents[1] / "formats" / "first"
"""Zoos, runs and single files that mnfn wrote."""


@dataclass(frozen=True)
class Seed:
    """A real file to damage.

    Args:
        file: where its damaged content is written before it is read.
        content: what it holds when it is whole.
        read: what a command does with it.
        damage: mutations that know its format; None if its bytes alone are damaged.
    """

    file: Path
    content: bytes
    read: Callable[[Path], object]
    damage: Mutation | None = None


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and how many damaged ones the whole fuzz reads."""

    name: str
    cases: int
    seeds: Callable[[Path], list[Seed]]

    def damaged(self, number: int, seeds: list[Seed]) -> tuple[Seed, bytes]:
        """Return a seed and its content, damaged in the way of this number."""
        random = Random(f"{self.name} {number}")
        seed = random.choice(seeds)
        if seed.damage is None:
            return seed, damage_bytes(random, seed.content, random.choice(seeds).content)
        content = seed.damage(random, seed.content) if random.random() < 0.6 else seed.content
        if content is seed.content or random.random() < 0.15:
            content = damage_bytes(random, content, random.choice(seeds).content)
        return seed, content


def _safetensors(folder: Path) -> list[Seed]:
    _run, _zoo = (
        shutil.copytree(FIRST / "generalization", folder / "run"),
        shutil.copytree(FIRST / "inrs", folder / "zoo"),
    )
    wanted = Wanted(load_run(_run).specs, label="test_accuracy", parse=float)
    file, single = folder / "single" / "00.safetensors", folder / "import" / "00.safetensors"
    file.parent.mkdir()
    single.parent.mkdir()
    checkpoint = _small_network(folder / "small.safetensors")
    shard = _zoo / "weights-00001-of-00001.safetensors"
    calibrated = FIRST / "editing" / "start.safetensors"
    return [
        Seed(
            file,
            (FIRST / "checkpoints" / file.name).read_bytes(),
            lambda at: load_checkpoints(at, wanted),
            damage_safetensors,
        ),
        Seed(single, checkpoint, _import, damage_safetensors),
        Seed(shard, shard.read_bytes(), lambda at: _open(at.parent), damage_safetensors),
        Seed(folder / "start.safetensors", calibrated.read_bytes(), map_tensors, damage_safetensors),
    ]


def _torch_files(folder: Path) -> list[Seed]:
    tensors = load_file(FIRST / "checkpoints" / "00.safetensors")
    network = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 1)).state_dict()
    forms = {
        "zipped": (tensors, {}),
        "nested": ({"model": network, "epoch": 3, "test_accuracy": 0.5}, {}),
        "legacy": (network, {"_use_new_zipfile_serialization": False}),
        "text": (network, {"pickle_protocol": 2}),
    }
    seeds = []
    for name, (found, options) in forms.items():
        held = io.BytesIO()
        torch.save(found, held, **options)
        damage = damage_pickle if name == "legacy" else damage_archive(damage_pickle)
        file = folder / name / "0.pt"
        file.parent.mkdir()
        seeds.append(Seed(file, held.getvalue(), _import, damage))
    always = (*EVIL, *GREEDY, *(zipped_pickle(held) for held in (*EVIL, *GREEDY)), bombs("archive/data.pkl"))
    return [
        *seeds,
        Seed(folder / "zipped" / "0.pt", seeds[0].content, _import, lambda random, _: random.choice(always)),
    ]


def _arrays(folder: Path) -> list[Seed]:
    whole = load_images("digits", 8)
    numbers = (whole.pixels[:5] * 255).numpy().astype(np.uint8)
    held = [io.BytesIO() for _ in range(4)]
    np.savez(held[0], images=numbers, labels=np.arange(5))
    np.savez_compressed(held[1], images=numbers[:, 0] / np.float32(255))
    np.save(held[2], np.random.default_rng(0).normal(size=(12, 20)).astype(np.float32))
    packed = damage_archive(damage_array)
    bomb = bombs("images.npy")

    def exploding(random: Random, content: bytes) -> bytes:
        return bomb if random.random() < 0.5 else packed(random, content)

    return [
        Seed(folder / "a.npz", held[0].getvalue(), _images, packed),
        Seed(folder / "b.npz", held[1].getvalue(), _images, exploding),
        Seed(folder / "weights.npy", held[2].getvalue(), lambda at: NpyRows(at).read(np.arange(3)), damage_npy),
        Seed(folder / "again.npy", held[2].getvalue(), lambda at: NpyRows(at).read(np.arange(3)), damage_npy),
    ]


def _tables(folder: Path) -> list[Seed]:
    rows = [metrics_row(("relu", "tanh")[row % 2], (85, 86)[row % 2], row / 20) for row in range(20)]
    write_metrics(folder, rows)
    packed = (folder / "metrics.csv.gz").read_bytes()
    labels = pl.read_csv(FIRST / "predictions.csv", n_rows=8).write_csv().encode()
    zoo = shutil.copytree(FIRST / "inrs", folder / "zoo")
    order = "".join(f"{n}\n" for n in [0, *range(8)]).encode()

    def lines_in_gzip(random: Random, content: bytes) -> bytes:
        return gzip.compress(damage_lines(random, gzip.decompress(content)), 1)

    return [
        Seed(zoo / "table.csv", (zoo / "table.csv").read_bytes(), lambda at: _open(at.parent), damage_lines),
        Seed(folder / "labels.csv", labels, lambda at: read_label_file(at, "network"), damage_lines),
        Seed(folder / "layout.csv", LAYOUT.encode(), lambda at: read_layout(at, 4970), damage_lines),
        Seed(folder / "metrics.csv.gz", packed, lambda at: read_metrics(at, 86, 20), lines_in_gzip),
        Seed(folder / "split.csv", order, lambda at: read_order(at, 8), damage_lines),
    ]


def _recipes(folder: Path) -> list[Seed]:
    texts = [(FIRST / run / "recipe.yaml").read_bytes() for run in ("generalization", "classification", "editing")]
    return [
        Seed(folder / f"{i}.yaml", text, lambda at: load_recipe(str(at)), damage_yaml) for i, text in enumerate(texts)
    ]


def _zoo_records(folder: Path) -> list[Seed]:
    seeds = []
    for name in ("inrs", "edited", "classifiers"):
        file = shutil.copytree(FIRST / name, folder / name) / "zoo.json"
        seeds.append(Seed(file, file.read_bytes(), lambda at: _open(at.parent), damage_json))
    return seeds


def _run_records(folder: Path) -> list[Seed]:
    seeds = []
    for name in ("generalization", "classification", "editing"):
        file = shutil.copytree(FIRST / name, folder / name) / "run.json"
        seeds.append(Seed(file, file.read_bytes(), lambda at: load_run(at.parent), damage_json))
        file = file.with_name("result.json")
        seeds.append(Seed(file, file.read_bytes(), lambda at: read_result(at.parent), damage_json))
    return seeds


def _pictures(folder: Path) -> list[Seed]:
    digit = (load_images("digits", 8).pixels[0, 0] * 255).numpy().astype(np.uint8)
    grey = Image.fromarray(digit)
    colour = Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180)))
    forms = {
        "a.png": grey,
        "rgba.png": Image.merge("RGBA", (*colour.split(), grey)),
        "palette.png": colour.quantize(8),
        "deep.png": Image.fromarray(digit.astype(np.uint16) * 257),
        "bit.png": grey.convert("1"),
        "a.jpg": colour,
        "cmyk.jpg": colour.convert("CMYK"),
        "a.gif": colour.quantize(8),
        "a.bmp": colour,
        "a.tif": grey,
        "float.tif": Image.fromarray(digit.astype(np.float32) / 255),
        "packed.tif": colour,
        "a.webp": colour,
        "a.ppm": colour,
    }
    seeds = []
    for name, picture in forms.items():
        options = (
            {"exif": _turned()} if name == "a.jpg" else {"compression": "tiff_lzw"} if name == "packed.tif" else {}
        )
        picture.save(folder / name, **options)
        seeds.append(Seed(folder / name, (folder / name).read_bytes(), _images))
    return seeds


def _data_sets(folder: Path) -> list[Seed]:
    digits = load_images("digits", 8)
    pixels, labels = (digits.pixels[:6] * 255).numpy().astype(np.uint8), digits.labels[:6].numpy().astype(np.uint8)
    pictures = b"\0\0\x08\x03" + np.array([6, 8, 8], ">u4").tobytes() + pixels.tobytes()
    classes = b"\0\0\x08\x01" + np.array([6], ">u4").tobytes() + labels.tobytes()
    records = load_images("photos").pixels[:2].mul(255).numpy().astype(np.uint8).reshape(2, -1)
    batch = np.concatenate([np.array([[3], [9]], np.uint8), records], axis=1).tobytes()
    for name in ("plain", "packed", "labels", "cifar"):
        (folder / name).mkdir()
        (folder / name / "t10k-images-idx3-ubyte").write_bytes(pictures)
        (folder / name / "t10k-labels-idx1-ubyte").write_bytes(classes)
    bombs = [
        pictures[:4] + np.array(shape, ">u4").tobytes() + bytes(2**28) for shape in ((6, 8, 8), (2**6, 2**12, 2**12))
    ]
    always = (gzip.compress(bombs[0], 1), gzip.compress(bombs[1][: 2**22], 1))
    sized = folder / "packed" / "t10k-images-idx3-ubyte.gz"
    (folder / "packed" / "t10k-images-idx3-ubyte").unlink()
    return [
        Seed(folder / "plain" / "t10k-images-idx3-ubyte", pictures, _images),
        Seed(sized, gzip.compress(pictures), _images),
        Seed(sized, gzip.compress(pictures), _images, lambda random, _: random.choice(always)),
        Seed(folder / "labels" / "t10k-labels-idx1-ubyte", classes, lambda at: load_images(str(at.parent))),
        Seed(folder / "cifar" / "data_batch_1.bin", batch, _images),
    ]


def _documents(folder: Path) -> list[Seed]:
    """JSON files of other people's zoos."""
    labels = b'[{"id": "00", "accuracy": 0.5, "n": 1}, {"id": "01", "accuracy": 0.25, "n": 2}]'
    splits = (
        b'{"train": {"path": ["a/1", "a/2"], "label": ["1", "2"]}, "val": {"path": ["a/3"], "label": [3]}, "test": []}'
    )
    result = (
        b'{"test_acc": 0.5, "test_loss": 1.5, "training_iteration": 1, "config": {"lr": 0.1, "model::nlin": "relu"}}'
    )
    return [
        Seed(folder / "labels.json", labels, read_label_file, damage_json),
        Seed(folder / "splits.json", splits, lambda at: SplitFile(at, lambda path: path[-1:] or None), damage_json),
        Seed(folder / "result.json", result, read_results, damage_json),
    ]


def _open(zoo: Path) -> None:
    """Do what ``zoo verify`` and ``zoo render`` do."""
    verify_zoo(zoo)
    opened = open_zoo(zoo)
    opened.bad_networks()
    opened.pictures()
    for part in opened.parts:
        part.read(slice(0, 2)).flatten()
    _ = opened.fingerprint, opened.record.split_protocol
    if is_inr(opened.spec):
        InrDesign.of_zoo(opened)


def _import(file: Path) -> None:
    plan_folder(file.parent, architecture=Architecture(activation="tanh"), reading=Reading(batchnorm=True))


def _images(file: Path) -> None:
    load_images(str(file), 8)


def _small_network(file: Path) -> bytes:
    from safetensors.torch import save

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    return bytes(
        save(
            network.state_dict(),
            {"spec": '{"widths": [2, 4, 4, 1], "activation": "sin", "omega": 15.0}', "init": "shared"},
        )
    )


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


KINDS = (
    Kind("safetensors", 200_000, _safetensors),
    Kind("pt", 20_000, _torch_files),
    Kind("numpy", 20_000, _arrays),
    Kind("csv", 20_000, _tables),
    Kind("recipe", 20_000, _recipes),
    Kind("zoo.json", 20_000, _zoo_records),
    Kind("run.json", 20_000, _run_records),
    Kind("pictures", 20_000, _pictures),
    Kind("data-sets", 20_000, _data_sets),
    Kind("documents", 20_000, _documents),
)
