"""safetensors files that are not what they should be: exit code 3, the file named, nothing loaded."""

import json
import os
import struct

import pytest
import torch

from mnfn_cli.errors import DataError
from mnfn_cli.storage import tensor_headers
from mnfn_cli.storage.tensors import all_finite, map_tensors, read_tensors, save_tensors

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def safetensors(header, data=b"\0" * 8):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_round_trip(tmp_path):
    tensors = {"a": torch.randn(3, 2), "b": torch.randn(4, dtype=torch.bfloat16), "view": torch.randn(4, 4).T}
    save_tensors(tmp_path / "x.safetensors", tensors, {"id": "7"})
    read, metadata = read_tensors(tmp_path / "x.safetensors")
    assert metadata == {"id": "7"}
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor)
        assert torch.equal(map_tensors(tmp_path / "x.safetensors")[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"1234567", "7 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "header of"),
        (struct.pack("<Q", 100) + b"{}", "header of"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (safetensors(b"\xff\xfe"), "no JSON"),
        (safetensors(b"[1, 2]"), "no JSON object"),
        (safetensors(b"[" * 100_000), "no JSON"),
        (safetensors({"a": 3}), "is no tensor"),
        (safetensors({"a": ENTRY, "__metadata__": {"spec": 5}}), "no readable"),
        (safetensors(b'{"a":' + json.dumps(ENTRY).encode() + b',"a":' + json.dumps(ENTRY).encode() + b"}"), "twice"),
        (safetensors({"a": ENTRY}, b"\0" * 4), "no readable"),  # truncated
        (safetensors({"a": ENTRY}, b"\0" * 12), "no readable"),  # trailing bytes
        (safetensors({"a": ENTRY | {"shape": [3]}}), "no readable"),  # shape and bytes disagree
        (safetensors({"a": ENTRY, "b": ENTRY | {"data_offsets": [4, 12]}}, b"\0" * 12), "no readable"),  # overlap
        (safetensors({"a": ENTRY | {"data_offsets": [8, 16]}}, b"\0" * 16), "no readable"),  # hole
        (safetensors({"a": ENTRY | {"dtype": "F99"}}), "F99"),
        (safetensors({"a": ENTRY | {"dtype": "I32"}}), "dtype I32"),
        (safetensors({"a": ENTRY | {"dtype": "F8_E4M3", "shape": [8]}}), "F8_E4M3"),
        (safetensors({"a": ENTRY | {"dtype": "C64", "shape": [1]}}), "C64"),
    ],
)
def test_faults_are_named(tmp_path, content, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_metadata_may_be_null(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(safetensors({"a": ENTRY, "__metadata__": None}))
    assert read_tensors(tmp_path / "x.safetensors")[1] == {}


def test_too_many_tensors(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_headers, "MAX_TENSORS", 3)
    save_tensors(tmp_path / "x.safetensors", {str(i): torch.zeros(1) for i in range(5)})
    with pytest.raises(DataError, match="at most 3"):
        read_tensors(tmp_path / "x.safetensors")


def test_names_cannot_move_the_cursor(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors({"\x1b[31m\n" + "x" * 1000: ENTRY | {"dtype": "I32"}}))
    with pytest.raises(DataError) as caught:
        read_tensors(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "folder", "broken", "loop", "nowhere"):
        with pytest.raises(DataError, match=name):
            read_tensors(tmp_path / name)


def test_all_finite():
    tensor = torch.full((3, 4), torch.finfo(torch.float32).max)
    assert all_finite(tensor)
    for bad in (float("nan"), float("inf"), float("-inf")):
        tensor[1, 2] = bad
        assert not all_finite(tensor)
