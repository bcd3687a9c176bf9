"""What a job is handed beside its inputs: where it computes, whom it reports to, who may stop it, and its share."""

from dataclasses import dataclass, field

import torch

from mnfn_cli.runtime.interruption import Interruption
from mnfn_cli.runtime.progress import Progress, Silent


@dataclass(frozen=True)
class Context:
    """The surroundings of one job; the default is one silent process on the CPU.

    Args:
        device: where to compute.
        progress: listens to how far the job is.
        interruption: asked at safe points whether to stop.
        command: how the job was called, for the record.
        rank: the number of this process among those that share the job, from 0.
        world_size: how many processes share the job.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Progress = field(default_factory=Silent)
    interruption: Interruption = field(default_factory=Interruption)
    command: str = "Python"
    rank: int = 0
    world_size: int = 1
