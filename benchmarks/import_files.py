"""How long ``mnfn zoo import`` takes for each format of single files, and how much memory, against bare reading.

Each import runs in a process of its own, so that its largest memory is known. The files are read twice: once to check
them, once to copy them. Bare reading is one pass of ``torch.load`` or ``safetensors`` over the same files.

    python benchmarks/import_files.py --networks 10000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SIREN = [(32, 2), (32, 32), (1, 32)]
LABELS = "labels.csv"


def siren(names: list[str]) -> dict[str, Tensor]:
    """Return a SIREN of random weights with these names of layers."""
    state = {}
    for name, shape in zip(names, SIREN, strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.randn(shape) / 6, torch.randn(shape[0]) / 6
    return state


def cnn() -> dict[str, Tensor]:
    """Return a CNN of the model zoos, with random weights."""
    layers = {0: nn.Conv2d(1, 8, 5), 3: nn.Conv2d(8, 6, 5), 6: nn.Conv2d(6, 4, 2), 9: nn.Linear(36, 20)}
    every = layers | {11: nn.Linear(20, 10)}
    return {f"module_list.{i}.{kind}": t for i, layer in every.items() for kind, t in layer.state_dict().items()}


def write_nfn(root: Path, number: int) -> None:
    """Write a network of the nfn library."""
    file = root / f"randinit_smaller_{number % 10}s" / f"net{number}.pth"
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(siren(["net.0.linear", "net.1.linear", "net.2"]), file)


def write_dws(root: Path, number: int) -> None:
    """Write a network of DWSNets."""
    file = root / f"mnist_png_training_{number % 10}_{number}" / "checkpoints" / "model_final.pth"
    file.parent.mkdir(parents=True)
    torch.save(siren(["seq.0", "seq.1", "seq.2"]), file)


def write_run(root: Path, number: int) -> None:
    """Write a run with 50 epochs and one checkpoint."""
    run = root / f"NN_tune_trainable_{number:05d}"
    (run / "checkpoint_000050").mkdir(parents=True)
    torch.save(cnn(), run / "checkpoint_000050" / "checkpoints")
    row = {"test_acc": 0.5, "test_loss": 1.0, "config": {"model::nlin": "tanh", "seed": number, "optim::lr": 3e-4}}
    (run / "result.json").write_text(
        "".join(json.dumps(row | {"training_iteration": i}, allow_nan=False) + "\n" for i in range(51))
    )


def write_pt(root: Path, number: int) -> None:
    """Write a network into a .pt file."""
    root.mkdir(exist_ok=True)
    torch.save(cnn(), root / f"{number}.pt")


def write_safetensors(root: Path, number: int) -> None:
    """Write a network into a .safetensors file."""
    root.mkdir(exist_ok=True)
    save_file(cnn(), root / f"{number}.safetensors")


FOLDER = ["--activation", "tanh", "--pool", "max2:before,max2:before,none", "--labels", LABELS, "--label", "acc"]
FORMATS: dict[str, tuple[Callable[[Path, int], None], list[str]]] = {
    "nfn-siren": (write_nfn, ["nfn-siren"]),
    "dws-inr": (write_dws, ["dws-inr"]),
    "model-zoos": (write_run, ["model-zoos"]),
    "folder, .pt": (write_pt, ["folder", *FOLDER]),
    "folder, .safetensors": (write_safetensors, ["folder", *FOLDER]),
}


def bare_seconds(files: list[Path]) -> float:
    """Return the seconds of one pass over the files with the libraries that wrote them."""
    started = time.perf_counter()
    for file in files:
        load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
    return time.perf_counter() - started


def import_in_process(folder: Path, arguments: list[str], source: str, out: str) -> tuple[float, float]:
    """Run the command in a process of its own; return its seconds and its largest memory in MiB."""
    name, *options = arguments
    command = [sys.executable, __file__, "--inside", "zoo", "import", name, source, "-o", out, "-q", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stderr.split()[-2:]
    return float(seconds), float(kilobytes) / 1024


def run_inside(arguments: list[str]) -> None:
    """Run the command line here, and print its seconds and its largest memory in KiB."""
    from mnfn_cli.cli.app import main as mnfn

    started = time.perf_counter()
    sys.argv = ["mnfn", *arguments]
    try:
        mnfn()
    except SystemExit as outcome:
        assert not outcome.code, outcome.code
    print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--inside"]:
        run_inside(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=10_000)
    count = parser.parse_args().networks
    print(f"{'':22}{'networks':>10}{'seconds':>10}{'largest MiB':>13}{'bare reading, s':>17}")
    for name, (write, arguments) in FORMATS.items():
        for number in (count // 10, count):
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                for network in range(number):
                    write(folder / "files", network)
                (folder / LABELS).write_text("id,acc\n" + "".join(f"{i},0.5\n" for i in range(number)))
                files = [p for p in (folder / "files").rglob("*") if p.is_file() and p.suffix != ".json"]
                bare = bare_seconds(files)
                seconds, memory = import_in_process(folder, arguments, "files", "zoo")
            print(f"{name:22}{number:10}{seconds:10.1f}{memory:13.0f}{bare:17.1f}")


if __name__ == "__main__":
    main()
