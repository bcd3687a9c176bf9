"""MNIST's IDX files and CIFAR-10's binary version: real pictures in these formats, and every fault of a file."""

import gzip
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.zoo import idx
from mnfn_cli.zoo.data_sets import read_data_set
from mnfn_cli.zoo.images import load_images

MANY, FEW = 30, 20


@pytest.fixture(scope="module")
def digits():
    """Real digits at MNIST's size: pictures ``(50, 28, 28)`` and labels ``(50,)``, uint8."""
    loaded = load_images("digits", 28)
    pixels = (loaded.pixels[: MANY + FEW, 0] * 255).round().to(torch.uint8).numpy()
    return pixels, loaded.labels[: MANY + FEW].numpy().astype(np.uint8)


@pytest.fixture(scope="module")
def patches():
    """Patches of two photographs, ``(52, 3, 32, 32)``, and the number of the photograph as the label, uint8."""
    photos = load_sample_images().images
    cut = [(photo[y : y + 32, :32], label) for label, photo in enumerate(photos) for y in range(0, 390, 15)]
    pixels, labels = zip(*cut, strict=True)
    return np.stack(pixels).transpose(0, 3, 1, 2), np.array(labels, dtype=np.uint8)


def idx_bytes(values):
    """Write an array of unsigned bytes in the IDX format."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def write_mnist(folder, digits, end="", mark="-"):
    pixels, labels = digits
    for start, rows in (("train-", slice(MANY)), ("t10k-", slice(MANY, None))):
        write(folder / f"{start}images{mark}idx3-ubyte{end}", idx_bytes(pixels[rows]))
        write(folder / f"{start}labels{mark}idx1-ubyte{end}", idx_bytes(labels[rows]))
    return folder


def write_cifar(folder, patches):
    """Write 22, 10 and 20 patches as two training batches and the test batch."""
    pixels, labels = patches
    records = [bytes([label]) + picture.tobytes() for picture, label in zip(pixels, labels, strict=True)]
    shuffled = [records[row] for row in np.random.default_rng(0).permutation(len(records))]
    for name, rows in (("data_batch_1", slice(22)), ("data_batch_2", slice(22, 32)), ("test_batch", slice(32, None))):
        write(folder / f"{name}.bin", b"".join(shuffled[rows]))
    return folder


def slow_idx(content):
    """Read an IDX file one value at a time."""
    number = struct.unpack_from(">I", content, 0)[0]
    dimensions = [struct.unpack_from(">I", content, 4 + 4 * axis)[0] for axis in range(number & 0xFF)]
    assert number >> 8 == 8
    values = np.zeros(dimensions)
    place = 4 + 4 * len(dimensions)
    for position in np.ndindex(*dimensions):
        values[position] = struct.unpack_from("B", content, place)[0]
        place += 1
    assert place == len(content)
    return values


def slow_cifar(content):
    """Read a batch of CIFAR-10 one value at a time."""
    pixels, labels, place = np.zeros((len(content) // 3073, 3, 32, 32)), [], 0
    for picture in range(len(pixels)):
        labels.append(struct.unpack_from("B", content, place)[0])
        place += 1
        for position in np.ndindex(3, 32, 32):
            pixels[(picture, *position)] = struct.unpack_from("B", content, place)[0]
            place += 1
    assert place == len(content)
    return pixels, labels


def scaled(pixels):
    return torch.from_numpy(pixels.astype(np.float32)) / 255


def test_mnist_equals_a_slow_reading_and_the_digits_it_was_made_of(digits, tmp_path):
    write_mnist(tmp_path, digits)
    loaded = load_images(str(tmp_path))
    parts = [(tmp_path / f"{part}-images-idx3-ubyte").read_bytes() for part in ("train", "t10k")]
    assert torch.equal(loaded.pixels, scaled(np.concatenate([slow_idx(part) for part in parts]))[:, None])
    assert torch.equal(loaded.pixels[:, 0], scaled(digits[0])) and loaded.labels.tolist() == digits[1].tolist()
    assert loaded.classes == tuple("0123456789") and loaded.ids[:2] == ("00", "01")
    assert [file.name for file in loaded.files] == ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"]
    assert load_images(str(tmp_path), 16).pixels.shape == (MANY + FEW, 1, 16, 16)


@pytest.mark.parametrize("below", [".", "raw", "MNIST/raw", "mnist"])
@pytest.mark.parametrize(("end", "mark"), [("", "-"), (".gz", "-"), ("", "."), (".gz", ".")])
def test_mnist_wherever_it_lies_and_however_it_is_spelt(digits, tmp_path, below, end, mark):
    write_mnist(tmp_path / below, digits, end, mark)
    loaded = load_images(str(tmp_path))
    assert torch.equal(loaded.pixels[:, 0], scaled(digits[0])) and loaded.labels.tolist() == digits[1].tolist()
    one = load_images(str(tmp_path / below / f"t10k-images{mark}idx3-ubyte{end}"))
    assert torch.equal(one.pixels[:, 0], scaled(digits[0][MANY:])) and one.labels.tolist() == digits[1][MANY:].tolist()


def test_unpacked_files_come_before_packed_ones_and_files_before_folders(digits, tmp_path):
    write_mnist(tmp_path, digits)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"damaged, and not needed")
    assert len(load_images(str(tmp_path)).pixels) == MANY + FEW
    other = write_mnist(tmp_path / "other", digits, mark=".")
    write_mnist(other / "train-images-idx3-ubyte", digits)
    assert len(load_images(str(other)).pixels) == MANY + FEW


def test_one_part_alone_and_sets_with_more_classes(digits, tmp_path):
    pixels, labels = digits
    write(tmp_path / "t10k-images-idx3-ubyte", idx_bytes(pixels[:FEW]))
    write(tmp_path / "t10k-labels-idx1-ubyte.gz", idx_bytes(labels[:FEW]))
    assert len(load_images(str(tmp_path)).pixels) == FEW
    write(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz", idx_bytes(pixels))
    write(tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz", idx_bytes(labels + 26))
    assert len(load_images(str(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz")).classes) == 36


def test_cifar_equals_a_slow_reading_and_the_photographs_it_was_made_of(patches, tmp_path):
    folder = write_cifar(tmp_path / "cifar-10-batches-bin", patches)
    names = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]
    slow = [slow_cifar((folder / name).read_bytes()) for name in names]
    for path in (folder, tmp_path):
        loaded = load_images(str(path))
        assert torch.equal(loaded.pixels, scaled(np.concatenate([pixels for pixels, _ in slow])))
        assert loaded.labels.tolist() == [label for _, labels in slow for label in labels]
        assert [file.name for file in loaded.files] == names and loaded.classes == ("0", "1")
    one = load_images(str(folder / names[1]))
    assert torch.equal(one.pixels, scaled(slow[1][0])) and one.labels.tolist() == slow[1][1]
    shown = {picture.numpy().tobytes() for picture in scaled(patches[0])}
    assert {picture.numpy().tobytes() for picture in loaded.pixels} == shown


def test_colour_arrays_with_channels_last_or_second(patches, tmp_path):
    pixels, labels = patches
    np.savez(tmp_path / "second.npz", images=pixels, labels=labels)
    np.savez_compressed(tmp_path / "last.npz", images=pixels.transpose(0, 2, 3, 1), labels=labels)
    np.savez(tmp_path / "floats.npz", images=np.asfortranarray(pixels / np.float32(255)), labels=labels)
    for name in ("second", "last", "floats"):
        loaded = load_images(str(tmp_path / f"{name}.npz"))
        assert torch.equal(loaded.pixels, scaled(pixels)) and loaded.labels.tolist() == labels.tolist()
    np.savez(tmp_path / "grey.npz", images=pixels[:, :1])
    assert load_images(str(tmp_path / "grey.npz")).pixels.shape == (52, 1, 32, 32)


def test_pickles_are_refused_and_never_read(patches, tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        write(folder / name, b"cos\nsystem\n(S'touch " + bytes(tmp_path / "ran") + b"'\ntR.")
    for path in (tmp_path, folder, folder / "data_batch_1", folder / "test_batch"):
        with pytest.raises(DataError, match="pickled form, which is never read; take its binary version") as caught:
            load_images(str(path))
        assert len(caught.value.faults) == 1
    write_cifar(tmp_path / "cifar-10-batches-bin", patches)
    assert len(load_images(str(tmp_path)).pixels) == 52 and not (tmp_path / "ran").exists()


def test_several_data_sets_are_not_mixed(digits, patches, tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw", digits)
    write_mnist(tmp_path / "FashionMNIST" / "raw", digits)
    write_cifar(tmp_path / "cifar-10-batches-bin", patches)
    with pytest.raises(UsageError, match=r"FashionMNIST/raw/.*, MNIST/raw/.*, cifar-10-batches-bin/data_b"):
        load_images(str(tmp_path))
    assert len(load_images(str(tmp_path / "MNIST")).pixels) == MANY + FEW


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
HEADER = struct.pack(">HBBIII", 0, 8, 3, MANY, 28, 28)


def cut(count):
    return lambda content: content[:count]


def overwrite(place, value):
    return lambda content: content[:place] + value + content[place + len(value) :]


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (IMAGES, cut(0), "no IDX file: it starts with nothing"),
        (IMAGES, cut(3), "no IDX file"),
        (IMAGES, cut(9), "ends in its header"),
        (IMAGES, cut(-1), "is truncated"),
        (IMAGES, cut(16), "is truncated"),
        (IMAGES, lambda content: content + b"\0", "bytes too many"),
        (IMAGES, overwrite(0, b"<htm"), "no IDX file: it starts with 3c 68 74 6d"),
        (IMAGES, overwrite(2, b"\x0d"), "type 0x0d; expected unsigned bytes, 0x08"),
        (IMAGES, overwrite(3, b"\x01"), "has 1 dimensions, expected 3"),
        (IMAGES, overwrite(3, b"\xff"), "has 255 dimensions, expected 3"),
        (IMAGES, overwrite(4, b"\0\0\0\0"), "holds nothing"),
        (IMAGES, overwrite(12, b"\0\0\0\0"), "holds nothing"),
        (IMAGES, overwrite(4, b"\xff\xff\xff\xff"), "at most 1,073,741,824 are read"),
        (IMAGES, overwrite(4, b"\xff" * 12), "at most"),
        (IMAGES, overwrite(4, b"\0\x10\0\0"), "is truncated: .* more than a file of its size can hold"),
        (IMAGES, overwrite(4, struct.pack(">I", MANY - 1)), "bytes too many"),
        (IMAGES, overwrite(4, struct.pack(">I", MANY + 1)), "is truncated"),
        (LABELS, cut(-1), "is truncated"),
        (LABELS, lambda content: content + b"\0", "bytes too many"),
        (LABELS, lambda content: idx_bytes(np.zeros(MANY - 1, np.uint8)), "29 labels for the 30 pictures"),
        (LABELS, lambda content: idx_bytes(np.zeros((MANY, 1), np.uint8)), "has 2 dimensions, expected 1"),
        (LABELS, lambda content: HEADER + bytes(MANY * 784), "has 3 dimensions, expected 1"),
        (LABELS, overwrite(8 + 7, b"\x0a"), r":7: label 10; expected 0 to 9 \(1 wrong\)"),
        (LABELS, overwrite(8 + 7, b"\xff\x0a"), r":7: label 255; expected 0 to 9 \(2 wrong\)"),
    ],
)
def test_faults_of_idx_files(digits, tmp_path, name, change, message, end):
    write_mnist(tmp_path, digits, end)
    content = (tmp_path / f"{name}{end}").read_bytes()
    content = change(gzip.decompress(content) if end else content)
    write(tmp_path / f"{name}{end}", content)
    for path in (tmp_path, tmp_path / f"{IMAGES}{end}"):
        with pytest.raises(DataError, match=message) as caught:
            load_images(str(path))
        assert len(caught.value.faults) == 1 and caught.value.faults[0].startswith(str(tmp_path / f"{name}{end}"))


def flip(content):
    return content[:-20] + bytes([content[-20] ^ 255]) + content[-19:]


@pytest.mark.parametrize(
    "change",
    [cut(-1), cut(-9), cut(200), cut(12), cut(2), flip, lambda packed: packed + b"rest", overwrite(2, b"\x09")],
)
def test_damaged_gzip_files(digits, tmp_path, change):
    write_mnist(tmp_path, digits, ".gz")
    file = tmp_path / f"{IMAGES}.gz"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=r"truncated|damaged gzip|too many") as caught:
        load_images(str(tmp_path))
    assert len(caught.value.faults) == 1


def test_a_bomb_is_unpacked_no_further_than_its_header_claims(digits, tmp_path, monkeypatch):
    write_mnist(tmp_path, digits, ".gz")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(HEADER) + b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    (tmp_path / f"{IMAGES}.gz").write_bytes(packed)
    asked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size: asked.append(size) or read(self, size))
    with pytest.raises(DataError, match="bytes too many"):
        load_images(str(tmp_path))
    assert asked[:3] == [4, 12, MANY * 784 + 1] and max(asked) == MANY * 784 + 1


def test_plain_files_of_another_size_are_not_read(digits, tmp_path):
    write_mnist(tmp_path, digits)
    file = tmp_path / IMAGES
    content = file.read_bytes()
    # Where the values are read before they are counted, the messages are others.
    for other, message in ((content[:-2], "more than a file of its size"), (content + b"rest", "has 4 bytes too many")):
        file.write_bytes(other)
        with pytest.raises(DataError, match=message):
            idx.read_idx(file, 3)


def test_all_bad_files_are_named_together(digits, tmp_path):
    write_mnist(tmp_path, digits)
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        load_images(str(tmp_path))
    assert len(caught.value.faults) == 2


def test_parts_that_do_not_belong_together(digits, tmp_path):
    write_mnist(tmp_path, digits)
    write(tmp_path / "t10k-images-idx3-ubyte", idx_bytes(digits[0][MANY:, :14, :14]))
    with pytest.raises(DataError, match=r"t10k.*14x14 pixels, but those of train-images-idx3-ubyte have 28x28"):
        load_images(str(tmp_path))
    (tmp_path / LABELS).unlink()
    with pytest.raises(DataError, match=f"{LABELS}: no such file"):
        load_images(str(tmp_path))
    with pytest.raises(DataError, match="holds labels; give the file of pictures"):
        load_images(str(tmp_path / "t10k-labels-idx1-ubyte"))
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: cannot read"):
        load_images(str(tmp_path))


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_batches_of_another_size(tmp_path, size):
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(size))
    for path in (tmp_path, tmp_path / "data_batch_1.bin"):
        with pytest.raises(DataError, match=r"data_batch_1.bin: has .* bytes, no whole number of CIFAR-10's records"):
            load_images(str(path))


def test_batches_with_other_labels_or_too_large(patches, tmp_path):
    write_cifar(tmp_path, patches)
    content = (tmp_path / "test_batch.bin").read_bytes()
    (tmp_path / "test_batch.bin").write_bytes(overwrite(3 * 3073, b"\x0a")(content))
    with pytest.raises(DataError, match=r"test_batch.bin:3: label 10; expected 0 to 9 \(1 wrong\)"):
        load_images(str(tmp_path))
    with (tmp_path / "sparse.bin").open("wb") as file:
        file.truncate(3073 * 10**6)
    with pytest.raises(DataError, match="at most 1,073,741,824"):
        load_images(str(tmp_path / "sparse.bin"))


NAMES = (IMAGES, f"{IMAGES}.gz", LABELS, "data_batch_1.bin", "data_batch_1", "mine.bin", "a.png", "mine.npz")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)])
@pytest.mark.fault("H11")
def test_what_is_no_regular_file_ends_at_once(digits, tmp_path, name, make):
    make(tmp_path / name)
    if name == LABELS:
        write(tmp_path / IMAGES, idx_bytes(digits[0]))
    with pytest.raises(DataError):
        load_images(str(tmp_path))
    with pytest.raises((DataError, UsageError)):
        load_images(str(tmp_path / name))


def test_other_folders_and_files_hold_no_data_set(tmp_path):
    for name in ("cat/raw/1.png", "dog/2.png", ".hidden/data_batch_1.bin", "deep/er/MNIST/raw/" + IMAGES):
        write(tmp_path / name, b"")
    assert read_data_set(tmp_path) is None
    assert read_data_set(tmp_path / "dog" / "2.png") is None and read_data_set(tmp_path / "data_batch_1.bin") is None


def npz_with(file, array_bytes):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", array_bytes)


def test_arrays_whose_header_claims_another_size(tmp_path):
    file = tmp_path / "x.npz"
    for shape, message in (
        ((10**6, 10**6, 1), "at most"),
        ((3, 8, 8), "its header claims 192"),
        ((0, 8, 8), "claims 0"),
    ):
        start = b"\x93NUMPY\x01\x00"
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
        npz_with(file, start + struct.pack("<H", len(header)) + header + bytes(64))
        with pytest.raises(DataError, match=f"x.npz:images.*{message}"):
            load_images(str(file))
    np.savez(file, images=np.zeros((2, 8, 8), np.uint8), labels=np.zeros(2), other=np.array([object()]))
    assert load_images(str(file)).labels.tolist() == [0, 0]  # nothing else in the file is read
    np.save(tmp_path / "array.npy", np.zeros((2, 8, 8)))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(DataError, match="no readable"):
        load_images(str(tmp_path / "array.npz"))
