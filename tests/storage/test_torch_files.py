"""PyTorch's files are read without running code, and what is no state dict is refused in one line."""

import contextlib
import os
import pickle
import random
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from mnfn_cli.errors import DataError
from mnfn_cli.storage.torch_files import is_torch_file, read_torch_file, save_torch_file
from mnfn_cli.zoo.single_files import read_state_dict

NET = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


class Code:
    """A pickle of this leaves a file behind when it is loaded freely."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_comes_back_whatever_the_name(tmp_path, suffix, legacy):
    file = tmp_path / f"net{suffix}"
    torch.save(NET.state_dict(), file, _use_new_zipfile_serialization=not legacy)
    assert is_torch_file(file)
    tensors, metadata = read_state_dict(file)
    assert metadata == {} and list(tensors) == list(NET.state_dict())
    assert all(torch.equal(tensors[name], tensor) for name, tensor in NET.state_dict().items())


def test_one_rule_finds_a_nested_state_dict_and_what_lies_beside_it(tmp_path):
    for key in ("state_dict", "model_state_dict", "model"):
        torch.save({"epoch": 7, "note": "best", key: NET.state_dict(), "lr": 0.5}, tmp_path / "net.pt")
        tensors, metadata = read_torch_file(tmp_path / "net.pt")
        assert list(tensors) == list(NET.state_dict()) and metadata == {"epoch": "7", "note": "best", "lr": "0.5"}
    torch.save(NET.state_dict() | {"label": torch.tensor(5), "more": 3}, tmp_path / "net.pt")
    assert read_torch_file(tmp_path / "net.pt")[1] == {"label": "5", "more": "3"}


def test_a_saved_file_is_a_plain_state_dict(tmp_path):
    view = torch.arange(12.0).view(3, 4).T
    save_torch_file(tmp_path / "net.pt", {"0.weight": view, "0.bias": view[:, 0]})
    loaded = torch.load(tmp_path / "net.pt", weights_only=True)
    assert torch.equal(loaded["0.weight"], view) and loaded["0.weight"].is_contiguous()
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def stride_zero():
    return torch.zeros(1).expand(1_000_000, 1_000_000)


REFUSED = {
    "a module": (lambda: nn.Linear(2, 2), "holds more than tensors"),
    "a list": (lambda: [torch.zeros(2)], "found an object of type list"),
    "a bare tensor": (lambda: torch.zeros(2), "found a bare tensor"),
    "integer keys": (lambda: {0: torch.zeros(2)}, "a key that is no name"),
    "a long name": (lambda: {"a" * 10**6: torch.zeros(2)}, "a key that is no name"),
    "a list inside": (lambda: {"a": [1]}, "a: is not part of a state dict: found an object of type list"),
    "sparse": (lambda: {"a": torch.eye(2).to_sparse()}, "sparse or quantised"),
    "quantised": (lambda: {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, "sparse or quantised"),
    "integers": (lambda: {"a": torch.ones(2, 3, dtype=torch.int64)}, "dtype int64"),
    "complex": (lambda: {"a": torch.ones(2, 3, dtype=torch.complex64)}, "dtype complex64"),
    "float8": (lambda: {"a": torch.ones(2, 3).to(torch.float8_e4m3fn)}, "dtype float8_e4m3fn"),
    "stride 0": (lambda: {"a": stride_zero()}, "claims 1000000000000 numbers and stores 1"),
    "many": (lambda: {str(i): torch.zeros(1) for i in range(10_001)}, "10001 tensors; at most 10000"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.fault("F7")
def test_what_is_no_state_dict_is_refused_by_name(tmp_path, name):
    make, problem = REFUSED[name]
    file = tmp_path / "net.pt"
    torch.save(make(), file)
    with pytest.raises(DataError) as caught:
        read_torch_file(file)
    message = str(caught.value)
    assert problem in message and message.startswith(str(file)) and len(message) < 400 + len(str(file))
    assert "weights_only" not in message and "\n" not in message


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.fault("F1")
def test_code_in_a_pickle_never_runs(tmp_path, protocol):
    canary, file = tmp_path / "canary", tmp_path / "net.pt"
    for content in (Code(canary), {"state_dict": {"a": Code(canary)}}, OrderedDict(a=Code(canary))):
        torch.save(content, file)
        with pytest.raises(DataError, match="holds more than tensors"):
            read_torch_file(file)
        file.write_bytes(pickle.dumps(content, protocol))
        with pytest.raises(DataError):
            read_torch_file(file)
        assert not canary.exists()


def test_damaged_and_hostile_files_are_refused(tmp_path):
    whole, file = tmp_path / "whole.pt", tmp_path / "net.pt"
    torch.save(NET.state_dict(), whole)
    content = whole.read_bytes()
    for cut in (0, 1, 10, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:cut])
        with pytest.raises(DataError) as caught:
            read_torch_file(file)
        assert "weights_only" not in str(caught.value)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    with pytest.raises(DataError, match="is compressed"):
        read_torch_file(file)
    file.unlink()
    os.mkfifo(file)
    for read in (read_torch_file, is_torch_file, read_state_dict):
        with pytest.raises(DataError, match="no regular file"):
            read(file)


class Allocation:
    def __reduce__(self):
        return bytearray, (1 << 60,)


@pytest.mark.filterwarnings("ignore")
def test_whatever_torch_raises_is_one_line_that_suggests_nothing_unsafe(tmp_path):
    file, whole = tmp_path / "net.pt", tmp_path / "whole.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)
    assert_refused(file, "is a TorchScript archive, not a state dict")
    torch.save({"a": torch.zeros(3, 2, device="meta")}, file)
    assert_refused(file, "holds no numbers: it was saved on the meta device")
    torch.save({"a": torch.zeros(2)}, whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(file, "w") as copy:
        for entry in archive.infolist():
            pickled = entry.filename.endswith("data.pkl")
            copy.writestr(entry.filename, pickle.dumps({"a": Allocation()}, 2) if pickled else archive.read(entry))
    assert_refused(file, "holds more than tensors")
    torch.save(NET.state_dict(), whole, _use_new_zipfile_serialization=False)
    key = re.findall(rb"[0-9]{6,}", whole.read_bytes())[0]
    file.write_bytes(whole.read_bytes().replace(key, b"x" + key[1:], 1))
    assert_refused(file, "is a damaged PyTorch file: storage key")
    for content, problem in (
        (b"<!DOCTYPE html><html>", "is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1", "is a git-lfs pointer"),
        (b"loss 0.3", "is no PyTorch file: it begins with b'loss 0.3'"),
    ):
        file.write_bytes(content)
        assert_refused(file, problem)


def assert_refused(file, problem):
    with pytest.raises(DataError) as caught:
        read_state_dict(file)
    assert problem in str(caught.value) and "\n" not in str(caught.value) and "weights_only" not in str(caught.value)


def test_random_damage_is_refused_or_read(tmp_path):
    file, whole, draw = tmp_path / "net.pt", tmp_path / "whole.pt", random.Random(0)
    for new in (True, False):
        torch.save(NET.state_dict(), whole, _use_new_zipfile_serialization=new)
        for _ in range(300):
            content = bytearray(whole.read_bytes())
            for _ in range(draw.choice([1, 3, 10])):
                content[draw.randrange(len(content))] = draw.randrange(256)
            file.write_bytes(content)
            with contextlib.suppress(DataError):
                read_torch_file(file)


def test_a_safetensors_file_is_none_of_pytorchs(tmp_path):
    from mnfn_cli.storage.tensors import read_tensors, save_tensors

    save_tensors(tmp_path / "net.safetensors", {"a": torch.zeros(3)})
    assert not is_torch_file(tmp_path / "net.safetensors")
    for length in (0x80, 0x0280):  # a header whose length begins like a pickle
        header = b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'.ljust(length)
        (tmp_path / "net.safetensors").write_bytes(struct.pack("<Q", length) + header + bytes(12))
        assert not is_torch_file(tmp_path / "net.safetensors")
        assert torch.equal(read_state_dict(tmp_path / "net.safetensors")[0]["a"], torch.zeros(3))
    torch.save(NET.state_dict(), tmp_path / "net.pt")
    with pytest.raises(DataError, match="is a PyTorch file, not a safetensors file"):
        read_tensors(tmp_path / "net.pt")
