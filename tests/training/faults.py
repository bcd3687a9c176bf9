"""A plugin that lets one rank fail at a step, as FAULT=RANK:KIND:STEP says. Several are separated by commas."""

import contextlib
import os
import signal
import time

from mnfn_cli.errors import DataError
from mnfn_cli.training import loop

_FAULTS = [fault.split(":") for fault in os.environ.get("FAULT", "").split(",") if fault]
_step, _save = loop._step, loop.save_state


def _fail(kind):
    if kind == "raise":
        raise DataError("zoo", "this rank cannot go on")
    if kind == "bug":
        raise ZeroDivisionError("a bug")
    if kind == "sleep":
        time.sleep(1000)
    with contextlib.suppress(KeyError):
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}[kind])


def _failing(job, model, optimizer, position, log, context):
    for rank, kind, step in _FAULTS:
        if str(context.processes.rank) == rank and position.step == int(step):
            _fail(kind)
    return _step(job, model, optimizer, position, log, context)


loop._step = _failing
