"""Build the sdist and the wheel into a folder, and check what is in them. `make dist` runs this.

Both are reproducible: times in them are those of the last commit, unless SOURCE_DATE_EPOCH is set. The wheel is built
from the sdist, and must be the wheel that the source tree gives, byte for byte.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).parents[1]
NEVER = (".git/", ".cache/", "__pycache__", ".pyc", "demo/", "zoos/", "runs/", ".hypothesis", ".venv")
WHEEL_NEVER = (*NEVER, "tests/", "benchmarks/", "scripts/", "docs/")


def main(folder: Path) -> int:
    """Build into ``folder``, print the files with their sizes, and return how many checks failed."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("mnfn-*"):
        old.unlink()
    os.environ.setdefault("SOURCE_DATE_EPOCH", _commit_time())
    sdist = build(ROOT, "sdist", folder)
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(sdist) as archive:
            names = archive.getnames()
            archive.extractall(place, filter="data")
        wheel = build(next(Path(place).iterdir()), "wheel", folder)
        faults = [] if wheel.read_bytes() == build(ROOT, "wheel", Path(place)).read_bytes() else ["wheels differ"]
    inside = {name.partition("/")[2] for name in names} - {""}
    faults += [f"sdist lacks {name}" for name in sorted(wanted_in_sdist() - inside)]
    faults += [f"sdist holds {name}" for name in inside if any(word in f"{name}/" for word in NEVER)]
    faults += check_wheel(wheel)
    for file in (sdist, wheel):
        print(f"{file}: {file.stat().st_size:,} bytes")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return len(faults)


def build(source: Path, target: str, folder: Path) -> Path:
    """Build one target with hatchling, which is installed beside this Python; return the file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder.resolve())]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    (file,) = folder.glob("mnfn-*.whl" if target == "wheel" else "mnfn-*.tar.gz")
    return file


def wanted_in_sdist() -> set[str]:
    """Return what git tracks, which is what the tests need; without git only what no build can do without."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    return {name for name in listed if name} or {"pyproject.toml", "README.md", "src/mnfn_cli/version.py"}


def check_wheel(wheel: Path) -> list[str]:
    """Return what is wrong with the files of a wheel or with its metadata."""
    places = {"recipes": "_recipes", "pretrained": "_pretrained", "src/mnfn_cli": ""}
    wanted = {
        "/".join(filter(None, ("mnfn_cli", into, file.relative_to(ROOT / folder).as_posix())))
        for folder, into in places.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        raw = archive.read(name)
    faults = [f"wheel lacks {name}" for name in sorted(wanted - inside)]
    faults += [f"wheel holds {name}" for name in sorted(inside - wanted)]
    faults += [f"wheel holds {name}" for name in inside if any(name.startswith(word) for word in WHEEL_NEVER)]
    try:
        metadata = Metadata.from_email(raw, validate=True)
    except ExceptionGroup as group:
        return faults + [f"metadata: {error}" for error in group.exceptions]
    if metadata.license or BytesParser().parsebytes(raw)["License-Expression"]:
        faults.append("metadata: a license is set, which is the owner's choice")
    return faults


def _commit_time() -> str:
    told = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "1704067200"


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])) > 0)
