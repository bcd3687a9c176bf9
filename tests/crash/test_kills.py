"""A command that is killed anywhere ends with the same bytes when it is given again, and leaves nothing stray."""

import random

import pytest
from tracing import injected, needs_strace, traced
from world import JOBS, Trial, differing, tree

RANDOM = {
    "train": 60,
    "sweep": 40,
    "zoo build cnn": 120,
    "zoo build siren": 150,
    "zoo import": 150,
    "augment": 130,
    "edit": 130,
    "edit one file": 90,
    "zoo export": 130,
}
"""The number of kills at random instants in `make crash`: 1,000."""
AT_ONCE = 10
EVERY_CHANGE = [
    *(Trial(name) for name in ("train", "zoo build cnn", "zoo build siren")),
    *(Trial(name, replaces) for name in ("augment", "edit", "edit one file") for replaces in (False, True)),
]
PARTS = 4

FEW = [("zoo export", 2), ("zoo build siren", 2), ("zoo import", 2), ("edit one file", 2)]
MANY = [
    pytest.param(name, AT_ONCE, seed, marks=pytest.mark.crash, id=f"{name}-{seed}")
    for name, count in RANDOM.items()
    for seed in range(1, 1 + count // AT_ONCE)
]


def check(world, trial, where):
    """Give the command again, and compare."""
    before = sorted(path.name for path in world.place.iterdir())
    world.finish(trial)
    assert not differing(world.whole(trial)[0], tree(world.place)), (where, before)


def test_a_thousand():
    assert sum(RANDOM.values()) == 1000 and all(count % AT_ONCE == 0 for count in RANDOM.values())


@pytest.mark.parametrize(("name", "count", "seed"), [*((name, count, 0) for name, count in FEW), *MANY])
def test_killed_at_random(world, record_property, name, count, seed):
    trial, chance = Trial(name), random.Random(f"{name} {seed}")
    seconds, killed = world.whole(trial)[1], 0
    while killed < count:
        world.prepare(trial)
        after = chance.uniform(0, seconds)
        ended = world.run(trial.argv, kill_after=after)
        killed += ended.code == -9
        check(world, trial, f"killed after {after:.3f} of {seconds:.3f} s")
    record_property("counts", {"of": "kills at random instants", "times": killed})


@needs_strace
@pytest.mark.parametrize(
    ("trial", "part", "parts"),
    [
        (Trial("augment", True), 7, 15),
        *(
            pytest.param(trial, part, PARTS, marks=pytest.mark.crash, id=f"{trial}-{part}")
            for trial in EVERY_CHANGE
            for part in range(PARTS)
        ),
    ],
)
def test_killed_at_every_change(world, record_property, trial, part, parts):
    """Just before each system call that changes the file system; those between kills are of no consequence."""
    whole = world.whole(trial)[0]
    world.prepare(trial)
    ended, changes = traced(world, trial.argv, world.place)
    assert ended.code == 0 and tree(world.place) == whole and len(changes) >= 14
    for change in changes[part::parts]:
        assert injected(world, trial, change, "signal=KILL").code == -9
        check(world, trial, f"killed before {change}")
    record_property("counts", {"of": "kills at system calls", "times": len(changes[part::parts])})


def test_every_command_that_writes_is_killed():
    assert set(RANDOM) | {"zoo export pt", "predict", "explain", "export-functional", "report"} == set(JOBS)


@needs_strace
@pytest.mark.parametrize("name", ["zoo build siren", "zoo build cnn"])
def test_a_build_that_is_killed_when_its_networks_are_written_has_them_once(world, name):
    trial = Trial(name)
    world.whole(trial)
    world.prepare(trial)
    changes = traced(world, trial.argv, world.place)[1]
    for change in changes:
        if change.call == "rename" and change.paths[-1].rpartition("/")[2].startswith("weights-"):
            assert injected(world, trial, change, "signal=KILL").code == -9
            check(world, trial, f"killed before {change}")
            break
    else:
        pytest.fail("no shard gets its name")
