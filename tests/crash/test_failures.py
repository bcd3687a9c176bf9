"""A full or failing disk, a limit of sizes or of memory: one line, exit 4, the old output; the next run succeeds."""

import sys

import pytest
from tracing import changes_in, injected, needs_strace, struck, traced
from world import Trial, differing, tree

from mnfn_cli.cli import app

ERRORS = ("ENOSPC", "EIO")
KINDS = ("open", "write", "fsync", "rename", "mkdir")
INJECTED = [
    Trial("train"),
    *(Trial(name, True) for name in ("augment", "edit one file", "zoo export", "predict")),
    Trial("zoo build cnn"),
    Trial("zoo build siren"),
    Trial("zoo export pt"),
]
PARTS = 3
ENDED_BY_LINKER = 127
"""The exit code with which the dynamic linker ends a process that has no memory for a new thread."""


def check_refused(world, trial, ended, where):
    """One line on stderr; under its name the output is the old one, or the new one whole; the next run succeeds."""
    whole, old = world.whole(trial)[0], world.old(trial)[1] if trial.replaces else {}
    assert len(ended.errors) == 1 and "Traceback" not in ended.stderr, (where, ended.stderr)
    assert len(ended.errors[0]) <= 400, (where, ended.errors)
    there = {path: content for path, content in tree(world.place).items() if path.split("/")[0] == trial.job.out}
    resumable = trial.name in ("train", "sweep") and there  # under its name from the start, and not done
    ended_well = there in (old, whole) or (there.keys() - {"out/.mnfn-mark.json"} == whole.keys())
    assert ended_well or resumable, (where, differing(old, there))
    world.finish(trial)
    assert not differing(whole, tree(world.place)), where


@needs_strace
@pytest.mark.parametrize(
    ("trial", "part", "parts"),
    [
        (Trial("augment", True), 5, 20),
        *(
            pytest.param(trial, part, PARTS, marks=pytest.mark.crash, id=f"{trial}-{part}")
            for trial in INJECTED
            for part in range(PARTS)
        ),
    ],
)
def test_a_call_fails(world, record_property, trial, part, parts):
    world.whole(trial)
    world.prepare(trial)
    _, changes = traced(world, trial.argv, world.place)
    chosen = [change for change in changes if change.kind in KINDS][part::parts]
    for change in chosen:
        for error in ERRORS:
            ended = injected(world, trial, change, f"error={error}")
            assert ended.code == 4, (str(change), error, ended.stderr)
            check_refused(world, trial, ended, f"{error} at {change}")
    record_property("counts", {"of": "failures injected", "times": len(ERRORS) * len(chosen)})


def test_a_failure_at_another_call_is_noticed():
    traced = [
        'openat(AT_FDCWD</w>, "/w/out/.a.12.tmp", O_WRONLY|O_CREAT, 0600) = 3</w/out/.a.12.tmp>',
        "fsync(3</w/b>) = 0",
    ]
    change = changes_in(traced, "/w")[0]
    failed = [
        traced[0].replace(".12.", ".7.").partition(" = ")[0] + " = -1 ENOSPC (No space left on device) (INJECTED)"
    ]
    assert struck(failed, "/w", change)
    assert not struck([failed[0].replace("out", "other")], "/w", change) and not struck(traced[1:], "/w", change)


LIMITED = ["train", "sweep", "zoo build cnn", "zoo build siren", "zoo import", "augment", "edit", "edit one file",
           "zoo export", "zoo export pt", "predict", "explain", "export-functional", "report"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("zoo export pt", [1000]),
        ("augment", [3000]),
        *(pytest.param(name, [600, 1000, 2000, 4000, 10_000], marks=pytest.mark.crash) for name in LIMITED),
    ],
)
def test_a_limit_of_file_sizes(world, record_property, name, sizes):
    trial, refused = Trial(name), 0
    largest = max(len(content or b"") for content in world.whole(trial)[0].values())
    for size in sizes:
        world.prepare(trial)
        ended = world.run(trial.argv, limits={"RLIMIT_FSIZE": size})
        assert (ended.code == 4) == (size < largest) or name == "train", (size, ended.code, ended.stderr)
        if ended.code:
            assert ended.code == 4, (size, ended.stderr)
            refused += 1
            check_refused(world, trial, ended, f"files of at most {size} bytes")
    assert refused
    record_property("counts", {"of": "limits of file sizes", "times": refused})


class PanicException(BaseException):
    """What polars raises where a thread of its own cannot start."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        PanicException(
            "called `Result::unwrap()` on an `Err` value: Os { code: 11, kind: WouldBlock, message: "
            '"Resource temporarily unavailable" }'
        ),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("can't start new thread"),
    ],
)
def test_memory_runs_out(monkeypatch, capsys, error):
    """In Python, torch or polars: one line."""

    def fail(**_):
        raise error

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.setattr(sys, "argv", ["mnfn"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 4 and len(said) == 1 and said[0].startswith("mnfn: error: memory: not enough")


@pytest.mark.crash
@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_of_memory(world, record_property, name):
    """Libraries that abort, or wait for a thread that could not start, end as a kill does: nothing is half written."""
    trial, refused, ended_by_libraries = Trial(name), 0, 0
    world.whole(trial)
    for megabytes in (1, 2, 16, 32):
        world.prepare(trial)
        ended = world.run(trial.argv, limits={"RLIMIT_AS": megabytes * 2**20}, kill_after=5)
        if ended.code < 0 or ended.code == ENDED_BY_LINKER:
            world.finish(trial)
            assert not differing(world.whole(trial)[0], tree(world.place))
            ended_by_libraries += 1
        elif ended.code:
            assert ended.code == 4, (megabytes, ended.code, ended.stderr[-2000:])
            check_refused(world, trial, ended, f"{megabytes} MB")
            refused += 1
    record_property("counts", {"of": "limits of memory that end in one line", "times": refused})
    record_property("counts", {"of": "limits of memory at which a library ends", "times": ended_by_libraries})
