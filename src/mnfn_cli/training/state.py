"""Training states on disk, as safetensors files. A run resumed from one ends with the same bits."""

import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import digest, read_tensors, save_tensors

KEPT = 2


@dataclass
class Position:
    """The progress of a training, without its tensors.

    Args:
        step: the number of optimizer steps done.
        validated: the number of steps that were done at the newest validation.
        best_value, best_step: the best value of the criterion so far, not finite before the first validation, and the
            step at which it was measured.
        loss_sum: the sum of the training losses since the newest validation.
        metrics_bytes: the size of metrics.jsonl at this step, in bytes.
        metrics_sha256: the SHA-256 of these bytes, as hexadecimal text; empty in states of earlier versions.
        step_seconds: the time spent in optimizer steps, in seconds.
        exact: whether the run was never resumed in another environment.
        environment: what ``describe_environment`` returned where the run was started or last resumed.
    """

    step: int = 0
    validated: int = 0
    best_value: float = float("-inf")
    best_step: int = 0
    loss_sum: float = 0.0
    metrics_bytes: int = 0
    metrics_sha256: str = ""
    step_seconds: float = 0.0
    exact: bool = True
    environment: dict[str, str] = field(default_factory=dict)


def describe_environment(device: torch.device, processes: int = 1) -> dict[str, str]:
    """Return what two runs must have in common to agree bit for bit.

    Args:
        device: the device of the training.
        processes: the number of processes that share it; it is named if there are several.

    Returns:
        machine, device, threads of each process and torch version.
    """
    found = {
        "machine": platform.node(),
        "device": str(device),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }
    return found if processes == 1 else found | {"processes": str(processes)}


def to_cpu(state: Any) -> Any:
    """Return a state dict of a model or of an optimizer with its tensors on the CPU."""
    if isinstance(state, Tensor):
        return state.cpu()
    if isinstance(state, dict):
        return {key: to_cpu(value) for key, value in state.items()}
    return [to_cpu(value) for value in state] if isinstance(state, list) else state


def save_state(
    folder: Path, position: Position, model: nn.Module, best: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Write a state and remove all but the newest ``KEPT`` states.

    Args:
        folder: where states are written, as ``step-STEP-VALIDATED.safetensors``.
        position: the progress of the training.
        model, optimizer: the model and its optimizer, whose states are written.
        best: the state dict of the best model so far.

    Raises:
        StorageError: the file cannot be written.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in slots.items()}
    device = next(model.parameters()).device
    tensors |= {f"random.{name}": state for name, state in random_states(device).items()}
    # The best value is infinite before the first validation, which JSON cannot say.
    text = json.dumps(asdict(position) | {"best_value": str(position.best_value)}, allow_nan=False)
    metadata = {"position": text, "sha256": digest(tensors, text)}
    save_tensors(folder / f"step-{position.step:08d}-{position.validated:08d}.safetensors", tensors, metadata)
    for old in sorted(folder.glob("step-*.safetensors"))[:-KEPT]:
        old.unlink()


def load_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Position, dict[str, Tensor]]:
    """Load the newest state into ``model``, ``optimizer`` and torch's random generators.

    Args:
        folder: where ``save_state`` writes states.
        model, optimizer: the model and its optimizer, which are changed in place.

    Returns:
        the position, and the state dict of the best model; a new position and an empty dict if there is no state.

    Raises:
        DataError: the newest state is damaged. The message names the state before it, which is not used silently.
    """
    files = sorted(folder.glob("step-*.safetensors"))
    if not files:
        return Position(), {}
    newest = files[-1]
    try:
        tensors, metadata = read_tensors(newest, floats_only=False)
        if metadata.get("sha256", found := digest(tensors, metadata["position"])) != found:
            raise DataError(newest, "its checksum is not that of what it holds")
        position = Position(**json.loads(metadata["position"]))
        position.best_value = float(position.best_value)
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "random": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = tensor
        model.load_state_dict(groups["model"])
        _load_optimizer(optimizer, groups["optimizer"])
        set_random_states(next(model.parameters()).device, groups["random"])
    except (DataError, KeyError, TypeError, ValueError, RuntimeError) as error:
        before = f"the state before it is {files[-2].name}" if len(files) > 1 else "there is no state before it"
        reason = error.problem if isinstance(error, DataError) else str(error)
        raise DataError(
            newest, f"damaged training state ({reason}); {before}; remove the damaged file and resume again"
        ) from None
    return position, groups["best"]


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, slot = name.partition(".")
        slots.setdefault(int(number), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's random generators of the CPU and of a device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states["device"] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_random_states(device: torch.device, states: dict[str, Tensor]) -> None:
    """Set what ``random_states`` returned."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu" and "device" in states:
        torch.get_device_module(device).set_rng_state(states["device"], device)
