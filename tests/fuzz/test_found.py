"""What the fuzz found, each as the smallest file that shows it. All ended in a traceback, or took too much memory."""

import io
import json
import shutil
import struct
import zipfile

import numpy as np
import pytest
import torch
from archives import BOMB_BYTES, Canary, bombs, zipped_pickle
from kinds import FIRST
from PIL import Image

from mnfn_cli import load_run, open_zoo
from mnfn_cli.errors import DataError
from mnfn_cli.storage.torch_files import read_torch_file
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.picture_file import MAX_PIXELS, PIXELS_OF_ANY_FILE, PIXELS_PER_BYTE, read_picture


def edited(folder, kind, name, change):
    """Copy a zoo or a run of the first format, change its description, and return the folder."""
    copy = shutil.copytree(FIRST / kind, folder / kind)
    document = json.loads((copy / name).read_text())
    change(document)
    (copy / name).write_text(json.dumps(document))
    return copy


def test_a_frequency_too_large_for_a_float(tmp_path):
    zoo = edited(tmp_path, "inrs", "zoo.json", lambda document: document["spec"].update(omega=10**400))
    with pytest.raises(DataError, match=r"zoo\.json:spec: is no weight space: int too large"):
        open_zoo(zoo)


@pytest.mark.parametrize("place", ["files", "made"])
def test_half_of_a_surrogate_pair(tmp_path, place):
    zoo = edited(tmp_path, "inrs", "zoo.json", lambda document: document[place].update({"\ud800": {}}))
    with pytest.raises(DataError, match=r"zoo\.json.*cannot be read"):
        open_zoo(zoo)


@pytest.mark.parametrize("name", ["9" * 5000, "a/b", "\x00", "é"])
def test_a_name_of_a_file_that_is_none_of_ours(tmp_path, name):
    entry = {"bytes": 1, "sha256": "0"}
    zoo = edited(tmp_path, "inrs", "zoo.json", lambda document: document["files"].update({name: entry}))
    with pytest.raises(DataError, match=r"zoo\.json:files\..*: string should match"):
        open_zoo(zoo)


def test_a_key_twice(tmp_path):
    zoo = shutil.copytree(FIRST / "inrs", tmp_path / "inrs")
    text = (zoo / "zoo.json").read_text()
    (zoo / "zoo.json").write_text(text.replace('"count"', '"count": 7, "count"', 1))
    with pytest.raises(DataError, match="'count' is there twice"):
        open_zoo(zoo)


@pytest.mark.parametrize("layer", [0, -1])
@pytest.mark.parametrize("width", [2**40, 2**62, 2**63])
def test_a_run_whose_model_would_take_all_memory(tmp_path, layer, width):
    def widen(document):
        document["spec"]["widths"][layer] = width

    run = edited(tmp_path, "generalization", "run.json", widen)
    with pytest.raises(DataError, match=r"run's model has|no model that can be built"):
        load_run(run)


@pytest.mark.parametrize("kind", ["generalization", "classification", "editing"])
def test_a_run_of_thousands_of_layers(tmp_path, kind, monkeypatch):
    """It was refused after fifteen seconds, when all of its layers had been built."""

    def deepen(document):
        spec = document["spec"]
        spec["widths"][1:1] = [spec["widths"][1]] * 2000
        for name in ("kernels", "strides", "paddings"):
            spec |= {name: [spec[name][0]] * 2000 + spec[name]} if name in spec else {}

    counts, draw = [], torch.Tensor.normal_
    monkeypatch.setattr(torch.Tensor, "normal_", lambda *given, **more: counts.append(1) or draw(*given, **more))
    run = edited(tmp_path, kind, "run.json", deepen)
    with pytest.raises(DataError, match=r"run\.json: describes no model that can be built: it has far more parameters"):
        load_run(run)
    assert len(counts) < 2000


def test_an_editor_without_what_is_known_of_its_inrs(tmp_path):
    with pytest.raises(DataError, match=r"run\.json:inr: missing"):
        load_run(edited(tmp_path, "editing", "run.json", lambda document: document.pop("inr")))


@pytest.mark.parametrize("packed", [zipped_pickle, lambda held: held])
def test_a_pickle_that_asks_for_a_block_of_bytes(tmp_path, packed):
    size = b"\x8a\x05" + BOMB_BYTES.to_bytes(5, "little")
    (tmp_path / "a.pt").write_bytes(packed(b"\x80\x02}X\x01\x00\x00\x00acbuiltins\nbytearray\n" + size + b"\x85Rs."))
    with pytest.raises(DataError, match="holds more than tensors"):
        read_torch_file(tmp_path / "a.pt")


def test_a_tensor_that_no_number_of_the_file_fills(tmp_path):
    size = b"\x8a\x05" + BOMB_BYTES.to_bytes(5, "little")
    held = b"\x80\x02}X\x08\x00\x00\x000.weightctorch\nFloatTensor\n" + size + b"\x85Rs."
    (tmp_path / "a.pt").write_bytes(zipped_pickle(held))
    with pytest.raises(DataError, match=r"0\.weight: claims 314572800 numbers and stores"):
        read_torch_file(tmp_path / "a.pt")


def test_a_compressed_member_in_an_archive_that_is_large_for_another_reason(tmp_path):
    torch.save({"0.weight": torch.ones(50, 50)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        for name, held in members:
            archive.writestr(name, held, zipfile.ZIP_DEFLATED if name.endswith(".pkl") else zipfile.ZIP_STORED)
    assert set(read_torch_file(tmp_path / "a.pt")[0]) == {"0.weight"}
    with pytest.raises(DataError, match="is compressed"):
        read_torch_file(tmp_path / "b.pt")


def npz(path, header, numbers=b""):
    """Write an archive with the array ``images``, whose header is this text."""
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + numbers
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", member)
    return str(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (((((3, }",  # a TokenError of numpy's parser
        "{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 3000 + "}",
        "{'descr': '|u1', 'fortran_order': __import__('os').mkdir('canary'), 'shape': (1, 2, 2)}",
    ],
)
def test_headers_that_break_the_parser_of_numpy(tmp_path, monkeypatch, header):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="damaged header"):
        load_images(npz(tmp_path / "a.npz", header))
    assert not (tmp_path / "canary").exists()


def test_arrays_of_both_orders_and_the_shapes_of_python_2_are_read(tmp_path):
    numbers = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.savez(tmp_path / "a.npz", images=numbers)
    np.savez(tmp_path / "b.npz", images=np.asfortranarray(numbers))
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L, 4L), }"
    old = npz(tmp_path / "c.npz", header, numbers.tobytes())
    for file in (tmp_path / "a.npz", tmp_path / "b.npz", old):
        assert np.array_equal((load_images(str(file)).pixels * 255).round().numpy()[:, 0], numbers)
    np.savez(tmp_path / "d.npz", images=(numbers / 255).astype(">f8"))
    assert np.allclose(load_images(str(tmp_path / "d.npz")).pixels.numpy()[:, 0] * 255, numbers, atol=1e-4)


def test_a_small_archive_of_a_large_array(tmp_path):
    (tmp_path / "a.npz").write_bytes(bombs("images.npy"))
    assert (tmp_path / "a.npz").stat().st_size < BOMB_BYTES / 500
    with pytest.raises(DataError, match="made to fill the memory"):
        load_images(str(tmp_path / "a.npz"))


def test_an_archive_of_objects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", images=np.array([Canary()], dtype=object))
    with pytest.raises(DataError, match="holds Python objects"):
        load_images("a.npz")
    assert not (tmp_path / "canary").exists()


def test_a_picture_that_claims_more_than_its_file_can_hold(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.bmp")
    content = bytearray((tmp_path / "a.bmp").read_bytes())
    content[18:26] = struct.pack("<ii", 7000, 7000)  # fewer than MAX_PIXELS
    (tmp_path / "a.bmp").write_bytes(content)
    with pytest.raises(DataError, match="claims 7000x7000 pixels in 1"):
        read_picture(tmp_path / "a.bmp")


@pytest.mark.parametrize(("mode", "side"), [("L", 5000), ("RGB", 4000)])
def test_a_large_picture_of_one_colour_is_a_picture(tmp_path, mode, side):
    Image.new(mode, (side, side)).save(tmp_path / "a.png", compress_level=9)
    size = (tmp_path / "a.png").stat().st_size
    assert PIXELS_OF_ANY_FILE < side * side < min(MAX_PIXELS, PIXELS_OF_ANY_FILE + PIXELS_PER_BYTE * size)
    assert read_picture(tmp_path / "a.png").shape[1:] == (side, side)


def test_pillow_does_not_warn(tmp_path):
    held = io.BytesIO()
    Image.new("L", (8, 8), 7).save(held, "TIFF")
    content = held.getvalue()
    damaged = content.replace(struct.pack("<HHI", 284, 3, 1), struct.pack("<HHI", 284, 3, 17), 1)
    (tmp_path / "a.tif").write_bytes(damaged)  # warnings are errors in all tests
    assert damaged != content
    assert read_picture(tmp_path / "a.tif").shape == (1, 8, 8)
