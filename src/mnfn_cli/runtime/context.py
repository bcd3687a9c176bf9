"""The surroundings of a job: its device, progress, interruption, command line and place among processes."""

from dataclasses import dataclass, field

import torch

from mnfn_cli.runtime.interruption import Interruption
from mnfn_cli.runtime.progress import Progress, Silent


@dataclass(frozen=True)
class Context:
    """The surroundings of one job. The default is a single process on the CPU that reports nothing.

    Args:
        device: the device to compute on.
        progress: the object to which the job reports its progress.
        interruption: the object that the job asks, at points where all files are complete, whether to stop.
        command: the command line, which is recorded in outputs.
        rank: the index of this process among those that share the job, from 0.
        world_size: the number of processes that share the job.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Progress = field(default_factory=Silent)
    interruption: Interruption = field(default_factory=Interruption)
    command: str = "Python"
    rank: int = 0
    world_size: int = 1
