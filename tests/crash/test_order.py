"""The order on disk, read from traces: the bytes of a file, its name, its folder; and last what vouches for others."""

from pathlib import PurePosixPath

import pytest
from tracing import Change, needs_strace, traced
from world import Trial

TRACED = [
    Trial("augment", True),
    Trial("zoo export pt"),
    *(
        pytest.param(Trial(name), marks=pytest.mark.crash)
        for name in ("train", "edit", "edit one file", "zoo build cnn")
    ),
]
OWN = ("rename", "renameat", "renameat2")


def unsafe(changes):
    """Return the renames that give a file its name before its bytes are on the disk, or whose folder is not flushed."""
    found = []
    for place, change in enumerate(changes):
        if change.call not in OWN or len(change.paths) != 2:
            continue
        source, target = map(PurePosixPath, change.paths[-2:])
        # Not its name yet; on the disk already; on its way out.
        if target.name == "content" or source.name.startswith("shard-") or target.name.endswith(".mnfn-tmp"):
            continue
        before, after = changes[:place], changes[place + 1 :]
        written = [n for n, c in enumerate(before) if c.kind in ("write", "truncate") and _wrote(c, source, before)]
        synced = [n for n, c in enumerate(before) if c.kind == "fsync" and str(source) in c.paths]
        if written and (not synced or synced[-1] < written[-1]):
            found.append(f"{change}: its bytes may come later")
        # Before anything in the same folder gets a name, or a mark goes.
        for following in after:
            if following.kind == "fsync" and _folder(target) in following.paths:
                break
            if following.kind == "unlink" and following.paths[-1].endswith(".mnfn-mark.json"):
                found.append(f"{change}: the mark goes before the name is on the disk")
                break
        else:
            if not source.name.endswith((".mnfn-replaced", ".mnfn-tmp")) or written:
                found.append(f"{change}: its folder is never flushed")
    return found


def is_file(path, opened):
    """Return whether a path that was flushed is a temporary file, by the paths that were written to."""
    return (path in opened and path.endswith(".mnfn-tmp")) or path.endswith("/content")


def _wrote(change, source, before):
    """Return whether a change wrote the bytes that are about to be renamed, if under an earlier name."""
    if source.name != "content":
        return str(source) in change.paths
    return any(path.startswith(f"{source.parent}/.tmp") for path in change.paths)


def _folder(path):
    return "" if str(path.parent) == "." else str(path.parent)


@needs_strace
@pytest.mark.parametrize("trial", TRACED, ids=str)
def test_files_are_on_the_disk_before_their_names(world, record_property, trial):
    world.whole(trial)
    world.prepare(trial)
    _, changes = traced(world, trial.argv, world.place)
    assert not unsafe(changes)
    vouching = {"out/zoo.json", "out.mnfn-partial/zoo.json", "out.mnfn-partial/.mnfn-files.json"}
    named = [change.paths[-1] for change in changes if change.call in OWN]
    for place, path in enumerate(named):
        if path in vouching:  # every other file of the folder has its name already
            folder = path.rpartition("/")[0]
            later = [
                other for other in named[place + 1 :] if other.startswith(f"{folder}/") and "mnfn-mark" not in other
            ]
            assert not later
    # Without any one flush of a file it would be found.
    opened = {change.paths[0] for change in changes if change.kind == "write"}
    flushed = [n for n, change in enumerate(changes) if change.kind == "fsync" and is_file(change.paths[0], opened)]
    assert flushed and all(unsafe([*changes[:n], *changes[n + 1 :]]) for n in flushed)
    record_property("counts", {"of": "traces of the order on disk", "times": 1})


@needs_strace
@pytest.mark.crash
def test_a_state_is_on_the_disk_before_the_older_one_goes(world, record_property):
    trial = Trial("train")
    world.whole(trial)
    world.prepare(trial)
    _, changes = traced(world, trial.argv, world.place)
    states = "out/checkpoints/step-"
    removed = [place for place, change in enumerate(changes) if change.kind == "unlink" and states in change.paths[-1]]
    done = max(n for n, change in enumerate(changes) if change.call in OWN and change.paths[-1] == "out/run.json")
    assert removed and [place for place in removed if place < done]
    for place in removed:
        newest = "out/run.json" if place > done else states
        named = [n for n in range(place) if changes[n].call in OWN and changes[n].paths[-1].startswith(newest)]
        folder = newest.rpartition("/")[0]
        assert any(changes[n].kind == "fsync" and folder in changes[n].paths for n in range(named[-1], place))
    # Each line of metrics is on the disk before the state that counts it.
    for place, change in enumerate(changes):
        if change.call in OWN and change.paths[-1].startswith(states):
            lines = [n for n in range(place) if changes[n].kind == "write" and "out/metrics.jsonl" in changes[n].paths]
            flushed = [
                n for n in range(place) if changes[n].kind == "fsync" and "out/metrics.jsonl" in changes[n].paths
            ]
            assert lines[-1] < flushed[-1]
    record_property("counts", {"of": "traces of the order on disk", "times": 1})


def test_what_is_unsafe_is_found():
    write, sync = Change("write", 1, (".a.1.mnfn-tmp",)), Change("fsync", 1, (".a.1.mnfn-tmp",))
    name, folder = Change("rename", 1, (".a.1.mnfn-tmp", "a")), Change("fsync", 2, ("",))
    assert unsafe([write, sync, name, folder]) == []
    assert unsafe([sync, write, name, folder]) and unsafe([write, name, folder]) and unsafe([write, sync, name])
