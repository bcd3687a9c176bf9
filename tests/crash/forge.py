"""Run commands of mnfn in forked children of a process that has imported everything; kill, trace or limit them.

    python forge.py FOLDER

Reads one JSON object a line from stdin and answers each with one on stdout. The process has one thread and computes
nothing itself: what a command needs is imported, and no pool of threads is started before a child is forked.
"""

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")
ATTACHED_WITHIN = 60  # seconds
HANGS_AFTER = 60


def _at_once(executor, function, *arguments, **options):
    """Do what ``Executor.submit`` does, in the thread that calls it."""
    future = Future()
    try:
        future.set_result(function(*arguments, **options))
    except BaseException as error:
        future.set_exception(error)
    return future


def _work(request):
    """Be the command, in a child."""
    os.chdir(request["cwd"])
    # Times are the only figures in which two runs differ.
    time.monotonic = time.perf_counter = lambda: 0.0
    for name, most in request.get("limits", {}).items():
        if name == "RLIMIT_FSIZE":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if name == "RLIMIT_AS":  # beyond what the process has already
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most += pages * resource.getpagesize()
        resource.setrlimit(getattr(resource, name), (most, most))
    if request.get("flock") == "missing":
        import errno
        import fcntl

        def no_flock(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        fcntl.flock = no_flock
    if "umask" in request:
        os.umask(request["umask"])
    if "uid" in request:
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])
    if request.get("strace"):  # which holds the first thread, and counts its calls
        ThreadPoolExecutor.submit = _at_once
    from mnfn_cli.cli.app import main

    sys.argv = ["mnfn", *request["argv"]]
    main()


def _child(request, gate):
    try:
        for name, number in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.read(gate, 1)
        _work(request)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    if request.get("modules"):
        Path(request["modules"]).write_text(json.dumps(sorted(sys.modules)))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _attach(child, words):
    """Let strace hold the child's first thread, in which all of its own work is done; return the process of strace."""
    tracer = subprocess.Popen(["strace", "-qq", *words, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + ATTACHED_WITHIN
    status = Path(f"/proc/{child}/status")
    while "TracerPid:\t0\n" in status.read_text():
        if tracer.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"strace does not attach: {tracer.stderr.read()}")
        time.sleep(0.002)
    return tracer


def start(request):
    """Fork a child for a request; return its id, and a function that lets it go."""
    gate, opens = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(opens)
        _child(request, gate)
    os.close(gate)
    tracer = _attach(child, request["strace"]) if request.get("strace") else None

    def let_go():
        os.write(opens, b"x")
        os.close(opens)
        return tracer

    return child, let_go


def _wait(child, until):
    """Wait for a child, and kill it at a time; without a thread, which would be in the way of the next fork."""
    descriptor = os.pidfd_open(child)
    if not select.select([descriptor], [], [], max(until - time.monotonic(), 0))[0]:
        os.kill(child, signal.SIGKILL)
    os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(request):
    """Run a request to its end, or kill it after some seconds."""
    child, let_go = start(request)
    started = time.monotonic()
    tracer = let_go()
    code = _wait(child, started + request.get("kill_after", HANGS_AFTER))
    seconds = time.monotonic() - started
    if tracer is not None:
        tracer.wait()
        tracer.stderr.close()
    return {"code": code, "seconds": seconds}


def run_together(requests):
    """Start all requests at once, and return for each, in their order, how it ended and when."""
    children = [start(request) for request in requests]
    started = time.monotonic()
    for _, let_go in children:
        let_go()
    ended = {}
    while len(ended) < len(children):
        child, status = os.wait()
        ended[child] = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - started}
    return [ended[child] for child, _ in children]


def warm(modules):
    """Import modules that a child needed, as far as this process can."""
    for name in modules:
        if name not in sys.modules and not name.startswith("__"):
            with contextlib.suppress(BaseException):
                importlib.import_module(name)


def main():
    """Serve requests until stdin ends."""
    import torch

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        if "warm" in request:
            warm(request["warm"])
            answer = {}
        elif "together" in request:
            answer = run_together(request["together"])
        else:
            answer = run(request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
