"""Kill imports between any two changes to the file system, and finish each of them.

    python killed_import.py DATA_SET FOLDER

Prints the number of imports that were killed. Every import runs in a child that no thread of torch has run in before.
"""

import os
import signal
import sys
from pathlib import Path

from mnfn_cli.zoo import plan as writing
from mnfn_cli.zoo.importers.small_cnn_zoo import plan_small_cnn_zoo
from mnfn_cli.zoo.plan import write_plan

CHANGES = ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "remove")


def dies_at(step):
    """Let this process be killed in place of its ``step``-th change."""
    left = iter(range(step))
    for name in CHANGES:

        def change(*arguments, real=getattr(os, name), opens=name == "open", **options):
            if (not opens or arguments[1] & (os.O_CREAT | os.O_WRONLY)) and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(os, name, change)


def run(source, output, step=None):
    """Import in a child, and return how it ended: 0, or the negative number of a signal."""
    child = os.fork()
    if child == 0:
        try:
            if step is not None:
                dies_at(step)
            write_plan(plan_small_cnn_zoo(source, protocol="nfn"), output)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    """Kill, continue and compare."""
    source, folder = map(Path, sys.argv[1:])
    writing.SHARD_BYTES = 3 * 4 * 4970
    assert run(source, folder / "whole") == 0
    whole = {path.name: path.read_bytes() for path in (folder / "whole").iterdir()}
    step, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        output = folder / str(step) / "zoo"
        output.parent.mkdir()
        ended = run(source, output, step)
        assert ended in (0, -signal.SIGKILL)
        took_its_name = output.exists()
        assert run(source, output) == int(took_its_name)  # a whole zoo is not replaced
        assert {path.name: path.read_bytes() for path in output.iterdir()} == whole
        # At worst a lock, or a hidden folder that was to get its mark when the process died.
        left = [path for path in output.parent.rglob("*") if output not in (path, path.parent)]
        assert all(path.name.startswith(".") and ".mnfn-" in path.name for path in left), left
        step += 1
    print(step)


if __name__ == "__main__":
    main()
