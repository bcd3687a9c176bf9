"""The place of this process among those that share a job, from the environment variables of torchrun or Slurm.

Nothing here imports torch, so that a command that needs none still knows whether it is the one that prints.
"""

import os
from dataclasses import dataclass

from mnfn_cli.errors import UsageError

TIMEOUT = "MNFN_TIMEOUT"
"""The environment variable with the number of seconds after which a process counts as hanging."""

_DEFAULT_TIMEOUT = 1800.0
_NAMES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Place:
    """The place of a process among those that share a job.

    Args:
        rank: the number of this process, from 0.
        world_size: the number of processes.
        local_rank: the number of this process among those of its machine, from 0.
        address: the host name of rank 0.
        port: the port on which rank 0 waits for the others.
        local: whether all processes are on one machine, so that they talk over its loopback interface.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    address: str = "127.0.0.1"
    port: int = 29500
    local: bool = True


def place() -> Place:
    """Return the place of this process; rank 0 of 1 where no variable says otherwise.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. Under ``srun`` SLURM_PROCID,
    SLURM_NTASKS and SLURM_LOCALID stand for the first three, where MASTER_ADDR is set.

    Raises:
        UsageError: a variable is no number, or the rank is not below the number of processes.
    """
    for rank, size, local_rank, local_size in _NAMES:
        slurm = rank.startswith("SLURM")
        if rank not in os.environ or size not in os.environ or (slurm and "MASTER_ADDR" not in os.environ):
            continue
        address = os.environ.get("MASTER_ADDR", "127.0.0.1")
        found = Place(
            _number(rank),
            _number(size),
            _number(local_rank) if local_rank in os.environ else 0,
            address,
            _number("MASTER_PORT") if "MASTER_PORT" in os.environ else Place.port,
            address in _LOOPBACK or os.environ.get(local_size) == os.environ[size],
        )
        if not 0 <= found.rank < found.world_size:
            raise UsageError(rank, f"{found.rank} with {size}={found.world_size}; ranks are 0 to {size} - 1")
        return found if found.world_size > 1 else Place()
    return Place()


def timeout() -> float:
    """Return the number of seconds after which a process for which others wait counts as hanging.

    Raises:
        UsageError: MNFN_TIMEOUT is no positive number.
    """
    text = os.environ.get(TIMEOUT, str(_DEFAULT_TIMEOUT))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(TIMEOUT, f"'{text}' is no number of seconds")
    return seconds


def _number(name: str) -> int:
    text = os.environ[name]
    if not (text.isascii() and text.isdigit()):
        raise UsageError(name, f"'{text}' is no number; launch with torchrun or srun, or unset it")
    return int(text)
