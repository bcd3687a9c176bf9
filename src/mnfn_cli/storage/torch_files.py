"""Read and write state dicts in PyTorch's own format, without ever running code from a file."""

import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular, read_regular, refuse_placeholder
from mnfn_cli.storage.atomic import write_bytes
from mnfn_cli.storage.tensor_headers import MAX_TENSORS

TORCH_SUFFIXES = (".pt", ".pth")
NESTED = ("state_dict", "model_state_dict", "model")
"""Keys of a checkpoint under which the state dict is looked for, in this order."""

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_SCALARS = (bool, int, float, str)
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_LONGEST_NAME = 1000
_GREEDY = b"\nbytearray\n"
_BYTES_AT_ONCE = 2**20
_TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
"""What torch.export keeps of the source of each operation."""

_MORE_THAN_TENSORS = "is a PyTorch file that holds more than tensors; save the state dict alone: model.state_dict()"


def is_torch_file(path: Path) -> bool:
    """Return whether a regular file begins like one that ``torch.save`` wrote, whatever its name."""
    start = _first_bytes(path)
    # A safetensors file begins with the length of its header, which could be any byte, and then a brace.
    return start.startswith(_ZIP) or (start.startswith(_PICKLE) and start[8:9] != b"{")


def read_torch_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the state dict in a file of ``torch.save`` into memory.

    A state dict may lie inside a checkpoint, under one of the keys ``NESTED``. Numbers and texts beside the tensors,
    and single integers kept as tensors, are returned as metadata.

    Args:
        path: the file to read.

    Returns:
        the tensors by name, and the metadata.

    Raises:
        DataError: the file is missing, damaged, holds code or other objects than a state dict, or holds tensors that
            are no plain floating-point numbers or claim more numbers than the file stores.
    """
    start = _first_bytes(path)
    refuse_placeholder(path, start)
    if start and not start.startswith((_ZIP, _PICKLE)):
        raise DataError(path, f"is no PyTorch file: it begins with {start[:8]!r}")
    _check_archive(path)
    _refuse_greedy(path)
    loaded = _load(path)
    if not isinstance(loaded, Mapping):
        raise DataError(path, f"is not a state dict: found {_kind(loaded)}")
    state_dict, metadata = _unnest(loaded, path)
    tensors: dict[str, Tensor] = {}
    if len(state_dict) > MAX_TENSORS:
        raise DataError(path, f"{len(state_dict)} tensors; at most {MAX_TENSORS} are read")
    for name, value in state_dict.items():
        if not isinstance(name, str) or len(name) > _LONGEST_NAME:
            raise DataError(path, f"is not a state dict: found a key that is no name, {repr(name)[:80]}")
        if isinstance(value, _SCALARS):
            metadata[name] = str(value)
        elif not isinstance(value, Tensor):
            raise DataError(f"{path}:{name}", f"is not part of a state dict: found {_kind(value)}")
        elif _is_single_integer(value) and not name.endswith("num_batches_tracked"):
            metadata[name] = str(int(value))
        else:
            _check_tensor(value, f"{path}:{name}", path.stat().st_size, integers=name.endswith("num_batches_tracked"))
            tensors[name] = value.detach()
    return tensors, metadata


def save_torch_file(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a state dict with ``torch.save``, atomically; raises StorageError if the file cannot be written."""
    packed = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    # In memory first: when a write fails, torch raises an error of its own that does not tell.
    file = io.BytesIO()
    torch.save(packed, file)
    write_bytes(path, file.getvalue())


def save_program(path: Path, program: ExportedProgram, texts: Mapping[str, str]) -> None:
    """Write a program of ``torch.export``, atomically and without pickles.

    Traces of the source and the example inputs stay out: they name paths of this machine, and examples are pickled.

    Args:
        path: the file to write.
        program: the program, whose traces and examples are removed.
        texts: further files inside it, by name; ``torch.export.load`` returns them as ``extra_files``.

    Raises:
        StorageError: the file cannot be written.
    """
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            for trace in _TRACES:
                node.meta.pop(trace, None)
    program.example_inputs = None
    file = io.BytesIO()  # as in save_torch_file
    torch.export.save(program, file, extra_files=dict(texts))
    write_bytes(path, file.getvalue())


def _first_bytes(path: Path) -> bytes:
    try:
        return read_regular(path, 64)
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None


def _check_archive(path: Path) -> None:
    """Check the sizes in an archive before anything in it is read; torch stores its entries without compression."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(path, f"is a damaged PyTorch file: {error}") from None
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        problem = "is a TorchScript archive, not a state dict; save model.state_dict() with torch.save"
        raise DataError(path, problem)
    claimed = sum(entry.file_size for entry in entries)
    if claimed > path.stat().st_size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise DataError(path, f"is compressed, to {claimed} bytes when unpacked; torch.save does not compress")


def _refuse_greedy(path: Path) -> None:
    """Raise ``DataError`` if a pickle may ask for a block of bytes of any size, which torch grants it."""
    try:
        with open_regular(path) as file:
            end = b""
            while piece := file.read(_BYTES_AT_ONCE):
                if _GREEDY in end + piece:
                    raise DataError(path, _MORE_THAN_TENSORS)
                end = piece[-len(_GREEDY) :]
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None


def _load(path: Path) -> Any:
    try:
        # Given a path, torch would read a name that ends in .safetensors in another way.
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(path, _MORE_THAN_TENSORS) from None
    except EOFError:
        raise DataError(path, "is a damaged PyTorch file: it ends") from None
    except Exception as error:  # a damaged pickle makes torch raise anything, also AssertionError and MemoryError
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(path, f"is a damaged PyTorch file: {problem}") from None


def _unnest(loaded: Mapping[Any, Any], path: Path) -> tuple[Mapping[Any, Any], dict[str, str]]:
    for key in NESTED:
        inner = loaded.get(key)
        if isinstance(inner, Mapping):
            beside = {str(name): str(value) for name, value in loaded.items() if isinstance(value, _SCALARS)}
            return inner, beside
    return loaded, {}


def _is_single_integer(tensor: Tensor) -> bool:
    integers = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    return tensor.layout == torch.strided and tensor.numel() == 1 and tensor.dim() <= 1 and tensor.dtype in integers


def _check_tensor(tensor: Tensor, where: str, file_bytes: int, *, integers: bool) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise DataError(where, "is a sparse or quantised tensor; weights are dense")
    if tensor.dtype not in _FLOATS and not integers:
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise DataError(where, f"dtype {dtype}; weights are float64, float32, float16 or bfloat16")
    if tensor.device.type != "cpu":
        raise DataError(where, f"holds no numbers: it was saved on the {tensor.device.type} device")
    stored = min(tensor.untyped_storage().nbytes(), file_bytes) // tensor.element_size()
    if tensor.numel() > stored:
        raise DataError(where, f"claims {tensor.numel()} numbers and stores {stored}")


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return "a bare tensor"
    return f"an object of type {type(value).__name__}"
