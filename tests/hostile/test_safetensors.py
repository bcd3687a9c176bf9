"""Single checkpoints in safetensors' format that are not what they should be."""

import os

import pytest
import torch
from damage import PREDICT, case, cut, in_tensors, instead, nothing, safetensors, write

from mnfn_cli.storage.tensors import read_tensors, save_tensors

FILE = "files/00.safetensors"
ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def bad(header, data=b"\0" * 8):
    return write(FILE, safetensors(header, data))


def retyped(dtype):
    def change(tensors, _):
        tensors["layers.0.bias"] = torch.zeros(16).to(dtype)

    return in_tensors(FILE, change)


def renamed(name):
    def change(tensors, _):
        tensors[name] = tensors.pop("layers.0.bias")

    return in_tensors(FILE, change)


def changed(**replaced):
    return in_tensors(FILE, lambda tensors, _: tensors.update(replaced))


def with_number(number):
    def change(tensors, _):
        tensors["layers.2.weight"].view(-1)[5] = number

    return in_tensors(FILE, change)


OVERLAP = {"a": ONE, "b": ONE | {"data_offsets": [4, 12]}}
TWICE = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
MANY = {str(n): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(200_000)}


@pytest.mark.parametrize(
    "case",
    [
        case("S1", "empty", write(FILE, b""), PREDICT, 3, FILE, "0 bytes"),
        case("S1", "7 bytes", write(FILE, b"1234567"), PREDICT, 3, FILE, "7 bytes"),
        case("S2", "absurd", write(FILE, b"\xff" * 8 + b"{}"), PREDICT, 3, FILE, "header of"),
        case("S2", "past the end", write(FILE, b"\x64" + bytes(7) + b"{}"), PREDICT, 3, FILE, "header of 100 bytes"),
        case("S3", "git-lfs", write(FILE, "version https://git-lfs.github.com/spec/v1\n"), PREDICT, 3, "git lfs pull"),
        case("S4", "HTML", write(FILE, "\n<!DOCTYPE html><html>"), PREDICT, 3, FILE, "is an HTML page"),
        case("S5", "not UTF-8", bad(b"\xff\xfe"), PREDICT, 3, FILE, "no JSON"),
        case("S6", "not JSON", bad(b"{"), PREDICT, 3, FILE, "no JSON"),
        case("S6", "deep", bad(b"[" * 200_000), PREDICT, 3, FILE, "no JSON"),
        case("S7", "overlap", bad(OVERLAP, bytes(12)), PREDICT, 3, f"{FILE}:b", "begins at byte 4, not 8"),
        case("S8", "hole", bad({"a": ONE | {"data_offsets": [8, 16]}}, bytes(16)), PREDICT, 3, f"{FILE}:a", "byte 8"),
        case("S9", "truncated", cut(FILE, -10), PREDICT, 3, FILE, "bytes of tensors, its header says", real=True),
        case("S10", "trailing bytes", bad({"a": ONE}, bytes(9)), PREDICT, 3, FILE, "9 bytes of tensors"),
        case("S11", "shape", bad({"a": ONE | {"shape": [3]}}), PREDICT, 3, f"{FILE}:a", "8 bytes for the shape (3,)"),
        case("S12", "key twice", bad(TWICE), PREDICT, 3, FILE, "'a' is there twice"),
        case("S13", "unknown dtype", bad({"a": ONE | {"dtype": "F99"}}), PREDICT, 3, f"{FILE}:a", "dtype F99"),
        case("S14", "fp8", retyped(torch.float8_e4m3fn), PREDICT, 3, f"{FILE}:layers.0.bias", "dtype F8_E4M3"),
        case("S14", "integers", retyped(torch.int32), PREDICT, 3, f"{FILE}:layers.0.bias", "dtype I32"),
        case("S14", "complex", retyped(torch.complex64), PREDICT, 3, f"{FILE}:layers.0.bias", "dtype C64"),
        case("S16", "no numbers", changed(**{"layers.1.weight": torch.zeros(16, 0, 3, 3)}), PREDICT, 3, FILE, "shape"),
        case("S17", "200,000", bad(MANY, b""), PREDICT, 3, FILE, "200000 tensors; at most 10000"),
        case("S18", "empty", renamed(""), PREDICT, 3, FILE),
        case("S18", "dots", renamed("../../../etc/passwd"), PREDICT, 3, FILE),
        case("S18", "escapes", renamed("\n\x1b[31m.weight"), PREDICT, 3, FILE),
        case("S18", "a megabyte", renamed("x" * 2**20), PREDICT, 3, FILE),
        case("S20", "NaN", with_number(float("nan")), PREDICT, 3, f"{FILE}:layers.2.weight", "is not finite"),
        case("S20", "infinity", with_number(-float("inf")), PREDICT, 3, f"{FILE}:layers.2.weight"),
        case("S22", "FIFO", instead(FILE, os.mkfifo), PREDICT, 3, FILE, "is no regular file", real=True),
        case("S22", "folder", instead(FILE, lambda path: path.mkdir()), PREDICT, 3, FILE, "is no regular file"),
        case("S22", "device", nothing, "predict r /dev/zero", 3, "/dev/zero", "is no regular file"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named(refused, case):
    case.check(refused)


@pytest.mark.fault("S15")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats_are_read_and_cast(mnfn, world, dtype):
    tensors, metadata = read_tensors(world / FILE)
    cast = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    save_tensors(world / FILE, cast, metadata)
    of_that = mnfn("predict r files/00.safetensors")
    save_tensors(world / FILE, {name: tensor.float() for name, tensor in cast.items()}, metadata)
    assert of_that[0] == 0 and mnfn("predict r files/00.safetensors")[1] == of_that[1]


@pytest.mark.fault("S19")
def test_a_tensor_called_like_the_metadata(refused, world):
    """No file can hold one: its header names each key once, and this one is the metadata."""
    write(FILE, safetensors(b'{"__metadata__":{},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":'
                            b'{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'))()  # fmt: skip
    refused(PREDICT, 3, FILE, "'__metadata__' is there twice")
    with pytest.raises(Exception, match="__metadata__"):
        save_tensors(world / "new.safetensors", {"__metadata__": torch.zeros(2)})
    assert not (world / "new.safetensors").exists()


@pytest.mark.fault("S21")
def test_a_file_that_is_cut_after_it_was_read_does_no_harm(world):
    tensors, _ = read_tensors(world / FILE)
    os.truncate(world / FILE, 100)
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
