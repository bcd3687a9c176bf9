"""mnfn env: print what a report of a fault should tell of the machine."""

import os
import platform
from typing import Any

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import Json, Quiet, examples

EXAMPLES = examples("mnfn env", "mnfn env --json")
LIBRARIES = (
    *("torch", "numpy", "safetensors", "polars", "scipy", "scikit-learn", "pydantic", "pyyaml", "typer", "rich"),
    *("tqdm", "threadpoolctl", "pillow", "opencv-python-headless", "matplotlib"),
)
OPTIONAL = ("tensorboard",)
"""What extras install."""

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "WORLD_SIZE", "SLURM_NTASKS")
"""Variables of the environment that change how fast mnfn computes, and where."""


def env(quiet: Quiet = False, json: Json = False) -> None:
    """Print the versions, the devices and the threads of this machine, for a report of a fault.

    Nothing is sent, and no path or name of a user is printed.
    """
    console = Console(quiet=quiet, json=json)
    facts = environment()
    lines = [f"{name}: {_words(value)}" for name, value in facts.items()]
    console.result(facts, "\n".join(lines))


def environment() -> dict[str, Any]:
    """Return the versions, devices and threads of this machine by name; the version is None for what is missing."""
    import torch

    import mnfn_cli

    return {
        "mnfn": mnfn_cli.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "optional": {name: _version(name) for name in OPTIONAL},
        "devices": ["cpu", *_gpus(), *["mps"] * torch.backends.mps.is_available()],
        "cuda": torch.version.cuda,
        "cores": os.cpu_count(),
        "usable cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _gpus() -> list[str]:
    import torch

    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [f"cuda:{number} ({name})" for number, name in enumerate(names)]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {found or 'missing'}" for name, found in value.items()) or "none"
    return ", ".join(value) if isinstance(value, list) else str(value or "none")
