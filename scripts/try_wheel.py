"""Install a wheel as a stranger would and use it, on every Python that is named. `make try` runs this.

Each Python gets an environment of its own, outside the source tree; pip resolves the wheel's requirements without
constraints. Then the environment builds a tiny zoo, trains a shipped recipe on it for an epoch, and predicts.

    python scripts/try_wheel.py dist/mnfn-0.1.0-py3-none-any.whl python3.11 python3.12
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = (
    "mnfn --version",
    "mnfn recipe list",
    "mnfn env",
    "mnfn zoo build cnn --images digits --activation relu --count 24 --epochs 1 --seed 0 -o zoo",
    "mnfn zoo verify zoo",
    "mnfn train --recipe generalization/relu-statnn --zoo zoo -o run training.epochs=1 training.batch_size=8",
    "mnfn predict run zoo --split test -o predictions.csv",
    "mnfn predict generalization/digits-relu-canonical-statistics zoo --split test -o pretrained.csv",
)


def main(wheel: Path, pythons: list[str]) -> int:
    """Try the wheel with each Python; return how many failed."""
    failed = 0
    for python in pythons:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TRY_FOLDER")) as place:
            try:
                print(f"{python}: {_try(wheel.resolve(), python, Path(place))}", flush=True)
            except subprocess.CalledProcessError as error:
                failed += 1
                print(f"{python}: failed at {' '.join(map(str, error.cmd))}\n{error.output}", flush=True)
    return failed


def _try(wheel: Path, python: str, place: Path) -> str:
    started = time.monotonic()
    _call([python, "-m", "venv", str(place / "env")], place)
    binaries = place / "env" / "bin"
    _call([str(binaries / "python"), "-m", "pip", "install", "-q", str(wheel)], place)
    installed = time.monotonic()
    for step in STEPS:
        name, *arguments = step.split()
        told = _call([str(binaries / name), *arguments], place)
        if step in ("mnfn --version", "mnfn env"):
            print("\n".join(f"    {line}" for line in told.splitlines()[:4]))
    lines = (place / "predictions.csv").read_text().splitlines()
    used = time.monotonic() - installed
    return f"{len(lines) - 1} predictions; {installed - started:.0f} s to install, {used:.0f} s of use"


def _call(command: list[str], place: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=place, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout[-3000:])
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]) > 0)
