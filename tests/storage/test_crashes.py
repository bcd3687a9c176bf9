"""A process that dies between any two changes to the file system leaves what the next writer puts in order."""

import json
import os

import pytest

from mnfn_cli.errors import DataError
from mnfn_cli.storage.folders import existing_folder, new_folder, recover
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.marks import State, mark, replaced_path


def own_files(folder):
    file = folder / "thing.json"
    return frozenset({"thing.json", *json.loads(file.read_text())}) if file.exists() else None


THING = Kind("thing", own_files)
CHANGES = ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "remove")


def fill(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    (folder / "thing.json").write_text(json.dumps(names))


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def write_new(output):
    with new_folder(output, THING, force=True) as folder:
        fill(folder, "a", "b")


def put_in_order(output):
    with locked(output):
        recover(output, THING)


def is_whole(folder):
    return own_files(folder) <= set(content(folder))


def dies_at(step, work):
    """Run ``work`` in a child that dies, as by kill -9, in place of its ``step``-th change; return whether it did."""
    child = os.fork()
    if child == 0:
        left = iter(range(step))
        for name in CHANGES:

            def change(*arguments, real=getattr(os, name), opens=name == "open", **options):
                if (not opens or arguments[1] & (os.O_CREAT | os.O_WRONLY)) and next(left, None) is None:
                    os._exit(9)
                return real(*arguments, **options)

            setattr(os, name, change)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


@pytest.mark.parametrize(("old", "steps"), [(False, 9), (True, 18)])
def test_killed_while_it_writes(tmp_path, old, steps):
    """The output is whole or absent, readers change nothing, the next writer ends well, neighbours stay."""
    died, step = True, 0
    while died:
        place = tmp_path / str(step)
        output = place / "out"
        place.mkdir()
        (place / "out.old").write_text("mine")
        if old:
            fill(output, "old", "older")
        died = dies_at(step, lambda output=output: write_new(output))
        before = content(place)
        if output.exists():
            assert is_whole(output)
        else:
            with pytest.raises(DataError, match="waits as" if old else "not complete|no such"):
                existing_folder(output, "thing")
            assert not old or is_whole(replaced_path(output))
        assert content(place) == before
        write_new(output)
        assert content(output) == ["a", "b", "thing.json"]
        assert [name for name in content(place) if not name.startswith(".out.")] == ["out", "out.old"]
        # At worst a hidden folder that was to get its mark when the process died.
        for stray in place.glob(".out.*"):
            assert all(name.endswith(".mnfn-tmp") for name in content(stray))
        step += 1
    assert step > steps


def test_killed_while_it_puts_in_order(tmp_path):
    for marked, steps in ((False, 3), (True, 6)):
        died, step = True, 0
        while died:
            output = tmp_path / f"{marked}-{step}" / "out"
            output.parent.mkdir()
            fill(replaced_path(output), "old")
            mark(replaced_path(output), State.REPLACED, output)
            if marked:  # the new one had its name already
                fill(output, "new")
                mark(output, State.GROWING, output)
            died = dies_at(step, lambda output=output: put_in_order(output))
            put_in_order(output)
            assert content(output.parent) == ["out"]
            assert content(output) == (["new", "thing.json"] if marked else ["old", "thing.json"])
            step += 1
        assert step > steps
