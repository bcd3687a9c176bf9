"""Choose the device of a command."""

import torch

from mnfn_cli.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """Return the device named ``auto`` (CUDA if available, else the CPU), ``cpu``, ``cuda`` or ``cuda:i``.

    Raises:
        UsageError: the name is unknown or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError("--device", f"'{name}' is no device; use auto, cpu, cuda or cuda:0") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError("--device", f"'{name}' is not supported; use auto, cpu, cuda or cuda:0")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError("--device", f"'{name}' asked for, but {torch.cuda.device_count()} CUDA devices are here")
    return device
