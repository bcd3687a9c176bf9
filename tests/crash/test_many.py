"""Many at once: writers of one output, readers beside a writer, stale or missing locks, and other users' files."""

import errno
import os
import shutil
import subprocess

import pytest
from world import IN, Trial, differing, tree

from mnfn_cli.storage import locks
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.tensors import read_tensors, save_tensors

AT_ONCE = 8
NOBODY = 65534
WAIT = 2.0
"""The seconds within which a command says that its output is in use."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user or to mount")


@pytest.mark.parametrize(
    "name",
    [
        "augment",
        *(pytest.param(n, marks=pytest.mark.crash) for n in ("train", "sweep", "zoo build cnn", "zoo build siren")),
        *(
            pytest.param(n, marks=pytest.mark.crash)
            for n in ("zoo import", "edit", "edit one file", "zoo export", "predict")
        ),
    ],
)
def test_eight_commands_on_one_output(world, record_property, name):
    """One proceeds, and the others say who; what is written is what one alone writes."""
    trial = Trial(name)
    whole, seconds = world.whole(trial)
    world.prepare(trial)
    ended = world.run_together([trial.argv] * AT_ONCE)
    codes = sorted(one.code for one in ended)
    # A sweep that finds another one finished has nothing to do.
    assert codes[0] == 0 and set(codes) <= ({0, 6} if name == "sweep" else {6, 0}), [one.stderr for one in ended]
    assert name == "sweep" or codes == [0] + [6] * (AT_ONCE - 1)
    for one in ended:
        if one.code:
            assert len(one.errors) == 1 and ("in use by process" in one.errors[0] or "exists already" in one.errors[0])
            assert one.seconds < AT_ONCE * (seconds + WAIT)  # they share the cores with the one that works
    assert not differing(whole, tree(world.place))
    record_property("counts", {"of": "commands on an output in use", "times": AT_ONCE - 1})


def test_the_second_is_told_before_its_work(world):
    """The lock is taken before anything is computed: while it is held, no zoo is even opened."""
    trial = Trial("edit one file")
    world.whole(trial)
    world.prepare(trial)
    with locked(world.place / trial.job.out):
        broken = [*trial.argv[:2], f"{IN}/one.safetensors", *trial.argv[3:]]  # which its work would refuse
        ended = world.run(broken)
        assert ended.code == 6 and f"in use by process {os.getpid()}" in ended.errors[0]
    assert not tree(world.place)


@pytest.mark.parametrize("reads", [300, pytest.param(3000, marks=pytest.mark.crash)])
def test_no_read_is_torn(tmp_path, record_property, reads):
    """A file is read while it is written again and again: each read finds one of the versions, whole."""
    import torch

    file = tmp_path / "a.safetensors"
    save_tensors(file, {"x": torch.zeros(2000)})
    writer = os.fork()
    if writer == 0:
        number = 0
        while True:
            number += 1
            save_tensors(file, {"x": torch.full((2000,), float(number))})
    try:
        seen, done = set(), 0
        while done < reads or len(seen) < 3:
            done += 1
            numbers = read_tensors(file)[0]["x"]
            assert bool((numbers == numbers[0]).all())
            seen.add(float(numbers[0]))
    finally:
        os.kill(writer, 9)
        os.waitpid(writer, 0)
    record_property("counts", {"of": "reads during writes, none torn", "times": done})


def test_what_a_dead_process_left_goes_and_nothing_else(world):
    """Its number is in the lock: temporaries with it go, and such files with another one, or of another kind, stay."""
    trial = Trial("edit one file")
    whole, seconds = world.whole(trial)
    world.prepare(trial)
    (world.place / ".out.safetensors.mnfn-lock").write_text("mnfn: process 4194999 on host\n")
    for name in (".out.safetensors.4194999.mnfn-tmp", ".out.safetensors.4194999-1.mnfn-tmp"):
        (world.place / name).write_text("half")
    kept = {".out.safetensors.4194998.mnfn-tmp", ".other.4194999.mnfn-tmp", "out.safetensors.4194999.mnfn-tmp"}
    for name in kept:
        (world.place / name).write_text("mine")
    folder = world.place / ".out.safetensors.4194999-2.mnfn-tmp"
    folder.mkdir()
    (folder / "thesis").write_text("mine")
    assert world.run(trial.argv).code == 0
    assert {*tree(world.place)} == {*whole, *kept, folder.name, f"{folder.name}/thesis"}


def test_without_locks_in_the_file_system(world):
    """The lock file is the lock: one writer proceeds, and what a killed one left must be removed by hand."""
    trial = Trial("augment")
    whole, seconds = world.whole(trial)
    world.prepare(trial)
    ended = world.run_together([trial.argv] * 4, flock="missing")
    assert sorted(one.code for one in ended) == [0, 6, 6, 6], [one.stderr for one in ended]
    assert not differing(whole, tree(world.place))
    world.prepare(trial)
    (world.place / ".out.mnfn-lock").write_text("mnfn: process 4194999 on host\n")
    refused = world.run(trial.argv, flock="missing")
    assert refused.code == 6 and "has no locks" in refused.errors[0] and "process 4194999 on host" in refused.errors[0]
    (world.place / ".out.mnfn-lock").unlink()
    assert world.run(trial.argv, flock="missing").code == 0
    assert not differing(whole, tree(world.place))


def test_without_files_that_have_no_name(tmp_path, monkeypatch):
    """Where a file system cannot give a name to a file, the lock is made under its name."""
    real = os.open

    def refusing(path, flags, *more, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, *more, **options)

    monkeypatch.setattr(locks.os, "open", refusing)
    with locked(tmp_path / "out"):
        assert f"process {os.getpid()} on" in (tmp_path / ".out.mnfn-lock").read_text()
    assert not list(tmp_path.iterdir())


@needs_root
@pytest.mark.parametrize("name", ["edit one file", pytest.param("augment", marks=pytest.mark.crash)])
def test_a_file_system_that_is_read_only(world, name):
    trial = Trial(name)
    world.whole(trial)
    world.prepare(trial)
    (world.place / "ro").mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(world.place / "ro")]
    if subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        argv = [f"ro/{word}" if word == trial.job.out else word for word in trial.argv]
        ended = world.run(argv)
    finally:
        subprocess.run(["umount", str(world.place / "ro")], check=True)
    assert ended.code == 4 and len(ended.errors) == 1 and "ro: cannot write" in ended.errors[0]


@needs_root
@pytest.mark.parametrize("name", ["edit one file", pytest.param("augment", marks=pytest.mark.crash)])
@pytest.mark.parametrize("closed", ["folder", "output", "lock"])
def test_another_users_files(world, name, closed):
    """A user without rights: exit 4 or 6 in one line, and every byte stays."""
    trial = Trial(name, True)
    world.whole(trial)
    world.prepare(trial)
    for folder in [world.place, *world.place.parents]:
        folder.chmod(folder.stat().st_mode | 0o055)
        if folder == world.root.parent.parent:
            break
    if closed != "folder":
        world.place.chmod(0o777)
    if closed == "lock":
        (world.place / f".{trial.job.out}.mnfn-lock").write_text("mnfn: process 4194999 on host\n")
    before = tree(world.place)
    ended = world.run(trial.argv, uid=NOBODY)
    world.place.chmod(0o755)
    if closed == "output" and name == "edit one file":  # who may write in a folder may replace a file in it
        assert ended.code == 0, ended.stderr
        return
    assert ended.code == 4 and len(ended.errors) == 1 and "ermission" in ended.errors[0], ended.stderr
    assert tree(world.place) == before


def test_a_user_without_rights_elsewhere_works_in_a_folder_of_their_own(world):
    if os.geteuid():
        pytest.skip("needs root, to be another user")
    trial = Trial("augment")
    whole = world.whole(trial)[0]
    world.prepare(trial)
    shutil.chown(world.place, NOBODY, NOBODY)
    ended = world.run(trial.argv, uid=NOBODY, umask=0o077)
    shutil.chown(world.place, 0, 0)
    assert ended.code == 0, ended.stderr
    assert not differing(whole, tree(world.place))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (world.place / "out").iterdir()}
    assert set(modes.values()) == {0o600}, modes
