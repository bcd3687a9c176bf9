"""zoo build on MNIST's and CIFAR-10's files, grey and in colour, as a user types it."""

import gzip
import json
import os
import struct

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.store import open_zoo

FEW = ("--count", 12, "--epochs", 1)


@pytest.fixture
def mnist(tmp_path):
    """200 real digits at MNIST's size as ``MNIST/raw``, pictures gzipped and labels not."""
    pixels, labels = load_images("digits", 28).pixels.mul(255).round().byte().numpy(), load_digits().target
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, rows in (("train", slice(150)), ("t10k", slice(150, 200))):
        content = struct.pack(">IIII", 0x803, len(labels[rows]), 28, 28) + pixels[rows].tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
        content = struct.pack(">II", 0x801, len(labels[rows])) + labels[rows].astype(np.uint8).tobytes()
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(content)
    return folder


@pytest.fixture
def cifar(tmp_path):
    """520 patches of two photographs, labelled by photograph, as two batches of CIFAR-10's binary version."""
    records = [
        bytes([label]) + photo[y : y + 32, x : x + 32].transpose(2, 0, 1).tobytes()
        for y in range(0, 416, 32)
        for x in range(0, 640, 32)
        for label, photo in enumerate(load_sample_images().images)
    ]
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "data_batch_1.bin").write_bytes(b"".join(records[:400]))
    (folder / "test_batch.bin").write_bytes(b"".join(records[400:]))
    return folder


@pytest.fixture
def notes(monkeypatch):
    from mnfn_cli.cli import build as commands

    told = []
    monkeypatch.setattr(commands.Console, "note", lambda self, text: told.append(text))
    return told


def test_mnist(mnfn, mnist, notes):
    mnfn("zoo", "build", "cnn", "--images", "data", *FEW, "-o", "cnn")
    files = "train-images-idx3-ubyte.gz, t10k-images-idx3-ubyte.gz"
    assert notes[0] == f"read 200 pictures and their labels from data/MNIST/raw: {files}"
    zoo = open_zoo("cnn")
    assert zoo.spec == NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, input_size=(28, 28))
    assert zoo.record.images.to_json()["count"] == 200 and "no fault" in mnfn("zoo", "verify", "cnn")
    mnfn("zoo", "build", "mlp", "--images", mnist / "train-images-idx3-ubyte.gz", *FEW, "--size", 14, "-o", "mlp")
    assert open_zoo("mlp").spec == NetworkSpec.mlp([196, 32, 10], "relu", input_size=(1, 14, 14))


@pytest.mark.slow
def test_classifiers_of_colour_pictures_from_end_to_end(mnfn, cifar, notes):
    mnfn("zoo", "build", "cnn", "--images", cifar, *FEW, "--channels", "6,5", "-o", "cnn")
    assert notes[0] == f"read 520 pictures and their labels from {cifar}: data_batch_1.bin, test_batch.bin"
    zoo = open_zoo("cnn")
    assert zoo.spec == NetworkSpec.cnn([3, 6, 5], kernel=3, stride=2, outputs=2, input_size=(32, 32))
    assert zoo.record.images.to_json()["channels"] == 3
    mnfn("zoo", "build", "mlp", "--images", cifar / "test_batch.bin", *FEW, "--size", 8, "-o", "mlp")
    assert open_zoo("mlp").spec == NetworkSpec.mlp([3 * 8 * 8, 32, 2], "relu", input_size=(3, 8, 8))
    for name in ("cnn", "mlp"):
        assert "no fault" in mnfn("zoo", "verify", name)
        assert json.loads(mnfn("augment", name, "-o", f"{name}-copies", "--json"))["largest_error"] <= 1e-4
        mnfn("zoo", "export", name, "-o", f"{name}-files")
        small = ["model.channels=[4,4]", "model.head=[8,8]", "training.epochs=1"]
        mnfn("train", "--recipe", "generalization/relu-monomial", "--zoo", name, "-o", f"{name}-run", *small)
        table = mnfn("predict", f"{name}-run", f"{name}-files").splitlines()
        assert len(table) == 13 and table[1:] == mnfn("predict", f"{name}-run", name).splitlines()[1:]


def test_inrs_of_labelled_colour_pictures(mnfn, cifar):
    small = ("--count", 4, "--width", 4, "--steps", 2, "--size", 8)
    mnfn("zoo", "build", "siren", "--images", cifar, *small, "-o", "inrs")
    zoo = open_zoo("inrs")
    assert zoo.spec.widths == (2, 4, 4, 3) and set(zoo.table["class"]) == {0, 1}


@pytest.mark.parametrize("kind", ["cnn", "mlp", "siren"])
def test_bad_files_are_one_line_and_nothing_is_written(fail, mnist, cifar, tmp_path, kind):
    before = sorted(tmp_path.rglob("*"))

    def build(path):
        told = fail("zoo", "build", kind, "--images", path, "-o", "zoo", code=3)
        assert sorted(tmp_path.rglob("*")) == before
        return told

    labels = mnist / "t10k-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1])
    assert "t10k-labels-idx1-ubyte: is truncated" in build("data")
    labels.write_bytes(content[:-1] + b"\x0a")
    assert "t10k-labels-idx1-ubyte:49: label 10; expected 0 to 9" in build("data")
    batch = cifar / "test_batch.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    assert "no whole number of CIFAR-10's records" in build(cifar)
    batch.unlink()
    os.mkfifo(batch)
    assert "test_batch.bin: cannot be read: it is no regular file" in build(cifar)
    for file in cifar.iterdir():
        file.rename(file.with_suffix(""))
    before = sorted(tmp_path.rglob("*"))
    assert "data_batch_1: is CIFAR-10 in pickled form" in build(cifar)
