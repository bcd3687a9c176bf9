"""A small world of inputs, and the commands that are killed, starved and raced in it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent.parent
FIRST = TESTS / "formats" / "first"
RECIPE = """
version: 1
task: generalization
model: {name: statnn, head: [4, 4]}
optimizer: {name: adam, lr: 1e-3}
training: {steps: 6, batch_size: 4, validate_every: 2}
"""
IN = "../inputs"
PICTURES = ["--images", f"{IN}/pictures.npz"]


@dataclass(frozen=True)
class Job:
    """A command with one output, named ``out`` or ``out.SUFFIX``.

    Args:
        argv: the command.
        out: the name of its output.
        again: the command that continues it where its output exists already; the same by default.
        kept: the exit code that says that the output is complete already.
    """

    argv: tuple[str, ...]
    out: str = "out"
    again: tuple[str, ...] | None = None
    kept: int = 6


def _job(*argv, **options):
    return Job(argv, **options)


TRAIN = ("train", "--recipe", f"{IN}/mine.yaml", "--zoo", f"{IN}/z", "-o", "out")
JOBS = {
    "train": Job(TRAIN, again=("train", "--resume", "out"), kept=2),
    "sweep": Job(("sweep", *TRAIN[1:], "--seeds", "0,1"), kept=0),
    "zoo build cnn": _job(
        "zoo", "build", "cnn", *PICTURES, "--size", "9", "--count", "6", "--epochs", "2", "-o", "out"
    ),
    "zoo build siren": _job("zoo", "build", "siren", *PICTURES, "--steps", "8", "--width", "4", "-o", "out"),
    "zoo import": _job("zoo", "import", "folder", f"{IN}/inr-files", "--labels", f"{IN}/labels.csv", "-o", "out"),
    "augment": _job("augment", f"{IN}/z", "-o", "out", "--scale", "1", "10"),
    "edit": _job("edit", f"{IN}/e", f"{IN}/inr", "-o", "out"),
    "edit one file": _job("edit", f"{IN}/e", f"{IN}/inr-files/one.safetensors", "-o", "out.safetensors",
                          out="out.safetensors"),
    "zoo export": _job("zoo", "export", f"{IN}/z", "-o", "out", "--limit", "5"),
    "zoo export pt": _job("zoo", "export", f"{IN}/z", "-o", "out", "--limit", "5", "--format", "state-dict"),
    "predict": _job("predict", f"{IN}/r", f"{IN}/z", "-o", "out.csv", out="out.csv"),
    "export-functional": _job("export-functional", f"{IN}/r", "-o", "out.pt2", out="out.pt2"),
    "explain": _job("explain", f"{IN}/r", f"{IN}/one.safetensors", "-o", "out.png", out="out.png"),
    "report": _job("report", f"{IN}/r", f"{IN}/inr", "-o", "out.html", out="out.html"),
}  # fmt: skip
REPLACED = {  # the commands that make an older output, which a job then replaces
    "train": ("train", "--recipe", f"{IN}/old.yaml", *TRAIN[3:]),
    "augment": ("augment", f"{IN}/z", "-o", "out", "--scale", "1", "3"),
    "edit": ("edit", f"{IN}/e", f"{IN}/inr", "-o", "out", "--split", "test"),
    "edit one file": ("edit", f"{IN}/e", f"{IN}/inr-files/two.safetensors", "-o", "out.safetensors"),
    "zoo export": ("zoo", "export", f"{IN}/z", "-o", "out", "--limit", "3"),
    "predict": ("predict", f"{IN}/r", f"{IN}/z", "--split", "test", "-o", "out.csv"),
}


@dataclass(frozen=True)
class Trial:
    """A job, which may replace an older output (``--force``)."""

    name: str
    replaces: bool = False

    @property
    def job(self):
        return JOBS[self.name]

    @property
    def argv(self):
        return (*self.job.argv, "--force") if self.replaces else self.job.argv

    def __str__(self):
        return f"{self.name}{' --force' if self.replaces else ''}"


def make_inputs(folder):
    """Fill a folder with zoos, runs, checkpoints, pictures and recipes."""
    folder.mkdir()
    names = {"classifiers": "z", "inrs": "inr", "generalization": "r", "editing": "e"}
    for name, short in names.items():
        shutil.copytree(FIRST / name, folder / short)
    pixels = np.random.default_rng(0).random((12, 8, 8))
    np.savez(folder / "pictures.npz", images=pixels, labels=np.arange(12) % 2)
    shutil.copy(min((FIRST / "checkpoints").glob("*.safetensors")), folder / "one.safetensors")
    (folder / "mine.yaml").write_text(RECIPE)
    (folder / "old.yaml").write_text(RECIPE.replace("steps: 6", "steps: 3"))


@dataclass
class Ended:
    """How a command ended.

    Args:
        code: its exit code, or the negative number of the signal that killed it.
        seconds: the time that it took.
        errors: the lines of its stderr that report errors.
        stderr: all of its stderr.
    """

    code: int
    seconds: float
    stderr: str

    @property
    def errors(self):
        return [line for line in self.stderr.splitlines() if line.startswith("mnfn: error: ")]


@dataclass(repr=False)  # a failed test shows it, with every byte that it holds
class World:
    """A folder with inputs, a place for outputs that is emptied for each trial, and a process that forks commands."""

    root: Path
    wholes: dict = field(default_factory=dict)
    olds: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        self.place = self.root / "w"
        self.place.mkdir()
        self._kept = self.root / "kept"
        self._kept.mkdir()
        self._spare = self.root / "logs"
        self._spare.mkdir()
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forge.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MNFN_DEBUG": "", **self.environment},
        )
        make_inputs(self.root / "inputs")
        export = self.run(["zoo", "export", f"{IN}/inr", "-o", f"{IN}/inr-files", "--limit", "2"], warm=True)
        assert export.code == 0, export.stderr
        files = self.root / "inputs" / "inr-files"
        for name, path in zip(("one", "two"), sorted(files.glob("*.safetensors")), strict=True):
            path.rename(path.with_stem(name))
        (files / ".mnfn-files.json").unlink()
        (self.root / "inputs" / "labels.csv").write_text("id,digit\none,1\ntwo,1\n")

    def close(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def ask(self, request):
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def request(self, argv, number=0, **options):
        log = self._spare / f"{number}"
        return {"argv": list(argv), "cwd": str(self.place), "stdout": f"{log}.out", "stderr": f"{log}.err", **options}

    def run(self, argv, *, warm=False, **options):
        """Run one command; with ``warm`` import in the server what it needed, for the next ones."""
        modules = self._spare / "modules"
        request = self.request(argv, **options, **({"modules": str(modules)} if warm else {}))
        ended = self._ended(self.ask(request), 0)
        if warm:
            self.ask({"warm": json.loads(modules.read_text())})
        return ended

    def run_together(self, commands, **options):
        requests = [self.request(argv, number, **options) for number, argv in enumerate(commands)]
        return [self._ended(answer, number) for number, answer in enumerate(self.ask({"together": requests}))]

    def _ended(self, answer, number):
        return Ended(answer["code"], answer["seconds"], (self._spare / f"{number}.err").read_text(errors="replace"))

    def empty(self):
        for path in self.place.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def prepare(self, trial):
        """Empty the place for outputs, or put the older output there that the trial replaces."""
        self.empty()
        if trial.replaces:
            shutil.copytree(self.old(trial)[0], self.place, dirs_exist_ok=True)

    def whole(self, trial):
        """Return the tree of an undisturbed run, and the seconds that it took; two runs must agree."""
        if trial not in self.wholes:
            found = []
            for warm in (True, False):
                self.prepare(trial)
                ended = self.run(trial.argv, warm=warm)
                assert ended.code == 0, ended.stderr
                found.append(tree(self.place))
            assert found[0] == found[1], differing(*found)
            self.wholes[trial] = found[1], ended.seconds
        return self.wholes[trial]

    def old(self, trial):
        """Return a folder that holds the older output that a trial replaces, and its tree."""
        if trial not in self.olds:
            self.empty()
            ended = self.run(REPLACED[trial.name])
            assert ended.code == 0, ended.stderr
            kept = self._kept / trial.name.replace(" ", "-")
            shutil.copytree(self.place, kept)
            self.olds[trial] = kept, tree(self.place)
        return self.olds[trial]

    def finish(self, trial):
        """Give the same command again after a kill, as a user would; return how it ended."""
        unfinished = trial.job.again and self.is_begun(trial)
        ended = self.run(trial.job.again if unfinished else trial.argv)
        assert ended.code in (0, trial.job.kept), ended.stderr
        return ended

    def is_begun(self, trial):
        """Return whether the output of a trial is there under its name, and not the older one."""
        if not (self.place / trial.job.out).exists():
            return False
        return not trial.replaces or not self.old(trial)[1].items() <= tree(self.place).items()


def tree(folder):
    """Return every path in a folder: its bytes, or None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def differing(one, other):
    """Return the paths in which two trees differ."""
    return sorted(path for path in {*one, *other} if one.get(path, b"?") != other.get(path, b"?"))
