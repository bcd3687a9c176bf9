"""safetensors files that are not what they should be: exit code 3, the file named, nothing loaded."""

import hashlib
import json
import os
import struct

import pytest
import torch
from safetensors.torch import load, save

from mnfn_cli.errors import DataError
from mnfn_cli.storage import tensor_headers
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.tensors import (
    DTYPES,
    all_finite,
    map_tensors,
    read_file,
    read_tensors,
    save_tensors,
    stack_tensors,
)

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


def test_a_disk_that_fails_while_torch_maps_a_file(tmp_path, monkeypatch):
    """The library opens the file once more, and says so by a RuntimeError; a failing call of the system showed it."""
    save_tensors(tmp_path / "x.safetensors", {"a": torch.ones(2)})

    def fails(*args, **kwargs):
        raise RuntimeError("unable to open file <x> in read-only mode: Input/output error (5)")

    monkeypatch.setattr(torch.UntypedStorage, "from_file", fails)
    with pytest.raises(DataError, match=r"x\.safetensors.*Input/output error"):
        map_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("metadata", [None, {}, {"a": 'ü"\n\u2028\\'}])
def test_the_bytes_are_those_of_the_safetensors_library_and_so_is_their_checksum(tmp_path, metadata):
    tensors = {f"{i} ü": torch.arange(5).to(dtype) for i, dtype in enumerate(DTYPES.values())}
    tensors |= {"empty": torch.zeros(0, 3), "one": torch.tensor(2.0), "b": torch.zeros(2, 1), "a": torch.ones(4)}
    found = save_tensors(tmp_path / "x.safetensors", tensors, metadata)
    content = (tmp_path / "x.safetensors").read_bytes()
    assert content == save(tensors, metadata or {})
    assert found == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
@pytest.mark.fault("D7")
def test_the_umask_decides_who_may_read_and_stays_for_other_threads(tmp_path, monkeypatch, mask):
    before, changed = os.umask(mask), []
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", lambda new: changed.append(new) or mask)
            save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(3)})
            write_text(tmp_path / "x.txt", "text")
    finally:
        os.umask(before)
    assert not changed
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}


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
        (safetensors({"a": ENTRY | {"shape": [2.0]}}), "no readable"),
        (safetensors({"a": ENTRY | {"shape": [True, 2]}}), "no readable"),
        (safetensors({"a": ENTRY | {"shape": [-1, -2]}}), "no readable"),
        (safetensors({"a": ENTRY | {"data_offsets": [0]}}), "no readable"),
        (safetensors({"a": {"dtype": "F32"}}), "no readable"),
        (safetensors({"\ud800": ENTRY}), "no JSON"),  # half of a surrogate pair
        (safetensors({"__metadata__": {"a": "\ud800"}, "a": ENTRY}), "no JSON"),
        (safetensors(b'{"__metadata__":{},"a":' + json.dumps(ENTRY).encode() + b',"__metadata__":{}}'), "twice"),
        (safetensors(b'{"__metadata__":{},}', b""), "no JSON"),
        (safetensors(b'{"__metadata__":{}', b""), "no JSON"),
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


def test_what_headers_may_say(tmp_path):
    """The library reads all of these alike."""
    wide, data = {"dtype": "F64", "shape": [1], "data_offsets": [6, 14]}, bytes(range(14))
    narrow, none = {"dtype": "BF16", "shape": [1, 3], "data_offsets": [0, 6]}, {"dtype": "F32", "shape": [0, 2]}
    tensors = {"w": wide, "n": narrow, "e": none | {"data_offsets": [14, 14]}, "s": none | {"data_offsets": [0, 0]}}
    texts = {"\N{SNOWMAN}": "\N{GRINNING FACE}"}
    for header in (tensors | {"__metadata__": texts}, {"__metadata__": texts} | tensors):
        for text in (
            json.dumps(header),
            json.dumps(header, indent=1),
            json.dumps(header, separators=(",", ":")) + "  ",
        ):
            content = safetensors(text.encode(), data)
            (tmp_path / "x.safetensors").write_bytes(content)
            found, metadata = read_tensors(tmp_path / "x.safetensors")
            assert metadata == texts
            for name, tensor in load(content).items():
                assert torch.equal(found.pop(name), tensor)
            assert not found


def test_files_are_stacked_as_their_tensors_are(tmp_path):
    shapes = {"a": (3, 2), "half": (3,), "b": (5,), "none": (0, 4)}

    def network(order):
        made = {name: torch.randn(shapes[name]) for name in order}
        return made | {"half": made["half"].half()}

    alike = [network(["a", "half", "b", "none"]) for _ in range(3)]
    for number, tensors in enumerate([*alike, alike[0]]):
        save_tensors(tmp_path / f"{number}", tensors, {"id": "x" * number} if number < 3 else None)
    (tmp_path / "4").write_bytes(
        safetensors(
            {
                "b": {"dtype": "F32", "shape": [5], "data_offsets": [0, 20]},
                "a": {"dtype": "F32", "shape": [3, 2], "data_offsets": [20, 44]},
                "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [44, 44]},
                "half": {"dtype": "F16", "shape": [3], "data_offsets": [44, 50]},
            },
            bytes(50),
        )
    )
    for numbers in ((0, 1, 2), (0,), (2, 3), (0, 4, 1)):
        files = [read_file(tmp_path / str(number))[0] for number in numbers]
        assert len({file.entries.kind for file in files}) == 1
        stacked = stack_tensors(files)
        for name in shapes:
            expected = torch.stack([read_tensors(tmp_path / str(number))[0][name] for number in numbers])
            assert stacked[name].dtype == expected.dtype and torch.equal(stacked[name], expected)


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
    assert str(caught.value).isprintable()


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
    assert all_finite(torch.empty(0))
    for bad in (float("nan"), float("inf"), float("-inf")):
        tensor[1, 2] = bad
        assert not all_finite(tensor)
    large = torch.zeros(70_000)
    large[-1] = float("nan")
    assert not all_finite(large)
