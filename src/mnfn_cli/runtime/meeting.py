"""How the processes that share a job meet, connect and part."""

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed.nn.functional  # see connect
from torch import distributed

from mnfn_cli.errors import MnfnError, ProcessError
from mnfn_cli.runtime.first_watch import FirstWatch
from mnfn_cli.runtime.other_watch import OtherWatch
from mnfn_cli.runtime.place import TIMEOUT, Place, timeout
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.runtime.watch import LostError, Watch

JOINING = 300.0
"""The largest number of seconds that the first process waits for the last one to start."""
_PATIENCE = timedelta(days=14)
"""The time that a collective operation may take. The watch ends it before, if nobody is at work for whom it waits."""


def join(place: Place, say: Callable[[MnfnError], None]) -> Processes:
    """Meet the other processes of the job, and watch each other from here on.

    Args:
        place: the place of this process.
        say: a function that prints the error that ended the job, on one of the processes.

    Raises:
        ProcessError: some processes did not come.
    """
    patience = min(timeout(), JOINING)
    try:
        store = _store(place, patience)
        if place.rank == 0:
            watch: Watch = FirstWatch(place, say, lambda text: store.set("mnfn-watch", text))
        else:
            watch = OtherWatch(place, say, store.get("mnfn-watch").decode())
    except (RuntimeError, OSError) as error:
        if isinstance(error, MnfnError):
            raise
        problem = f"did not meet rank 0 at {place.address}:{place.port} in {patience:g} s ({TIMEOUT} sets how long)"
        raise ProcessError(f"rank {place.rank}", f"{problem}: {error}") from error
    return Processes(place, watch, store)


def connect(processes: Processes, device: torch.device) -> None:
    """Prepare the collective operations of processes that have joined, on the CPU and on a GPU of their own.

    Functions in ``torch.distributed.nn`` have the group that exists when they are imported as a default. What torch
    imports with an optimizer imports them, so this module does before: they would keep the group and its threads until
    the interpreter ends, which aborts the process if such a thread then still holds a tensor.

    Args:
        processes: what ``join`` returned.
        device: the device of this process.
    """
    place = processes.place
    if place.local:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    assert processes.watch is not None
    devices = _devices(processes.store, place, device)
    own_gpus = device.type == "cuda" and len(set(devices)) == len(devices)
    if own_gpus:
        torch.cuda.set_device(device)
    processes.watch.wait(True)
    try:
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if own_gpus else "gloo",
            store=processes.store,
            rank=place.rank,
            world_size=place.world_size,
            timeout=_PATIENCE,
        )
    except RuntimeError as error:
        raise LostError(f"rank {place.rank}", f"lost another process: {error}") from error
    finally:
        processes.watch.wait(False)


def part(processes: Processes) -> None:
    """Take leave of the other processes, all of which have done their part."""
    processes.meet()
    if processes.watch is not None:
        processes.watch.close()
        distributed.destroy_process_group()


def _store(place: Place, seconds: float) -> Any:
    """Return the key-value store of the job, which torchrun or rank 0 keeps."""
    span = timedelta(seconds=seconds)
    launcher = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if place.rank or launcher:
        store = distributed.TCPStore(place.address, place.port, None, False, span, wait_for_workers=False)
    else:
        # torch listens on all interfaces unless it is given a socket.
        server = socket.create_server(("127.0.0.1" if place.local else "", place.port), backlog=place.world_size)
        store = distributed.TCPStore(
            place.address,
            place.port,
            None,
            True,
            span,
            wait_for_workers=False,
            master_listen_fd=server.detach(),
        )
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    found = distributed.PrefixStore(f"mnfn-{attempt}", store)
    found.set_timeout(span)
    return found


def _devices(store: Any, place: Place, device: torch.device) -> list[str]:
    """Return the machine and device of every process.

    Raises:
        ProcessError: a process does not come.
    """
    store.set(f"device-{place.rank}", f"{socket.gethostname()} {device}")
    found = []
    for rank in range(place.world_size):
        try:
            found.append(store.get(f"device-{rank}").decode())
        except RuntimeError as error:
            problem = f"did not come in {store.timeout.total_seconds():g} s ({TIMEOUT} sets how long)"
            raise ProcessError(f"rank {rank}", problem) from error
    return found
