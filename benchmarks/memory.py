"""Anonymous memory and seconds of commands at several numbers of networks, each command in a process of its own.

Memory is the largest above that after all imports; pages of files, which the kernel can drop at any time, do not count.
The networks are random CNNs of 4,970 numbers, or with ``--small`` of 238.

    python benchmarks/memory.py --networks 10000 100000
"""

import argparse
import tempfile
from pathlib import Path

from anonymous import measure_command
from many import write_many
from mnfn_cli import NetworkSpec
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.training import train_run
from rows import Row, record

LIMIT = 600e6
"""The bytes that a command may hold above its imports, whatever the number of networks."""
TRAINING_LIMIT = 1e9
FEW = 120
"""The number of networks of the zoo that the run learned from: too few for a flag of unlike networks."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, nargs="+", default=[10_000])
    parser.add_argument("--small", action="store_true", help="networks of 238 numbers instead of 4,970")
    parser.add_argument("--steps", type=int, default=200, help="steps of the training")
    parser.add_argument("--folder", type=Path, help="where to write; the folder for temporary files by default")
    arguments = parser.parse_args()
    widths, size = ([1, 4, 4], (8, 8)) if arguments.small else ([1, 16, 16, 16], (16, 16))
    spec = NetworkSpec.cnn(widths, kernel=3, stride=2, outputs=10, input_size=size)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_many(folder / "few", spec, FEW)
        steps = ["training.epochs=null", "training.batch_size=8"]
        recipe = load_recipe("generalization/relu-mlp", [*steps, "training.steps=1", f"data.zoo=['{folder / 'few'}']"])
        train_run(recipe, folder / "run")
        for count in arguments.networks:
            zoo = folder / f"zoo-{count}"
            write_many(zoo, spec, count)
            some = ["--ids", ",".join(f"{row:07d}" for row in range(0, count, max(count // 100, 1)))]
            training = [*steps, f"training.steps={arguments.steps}", "training.in_memory=false"]
            commands = {
                "zoo info": ["zoo", "info", zoo],
                "zoo verify": ["zoo", "verify", zoo],
                "zoo export": ["zoo", "export", zoo, "-o", folder / "files", "--force", *some],
                "zoo import": ["zoo", "import", "folder", folder / "files", "-o", folder / "new", "--force"],
                "augment": ["augment", zoo, "-o", folder / "new", "--force", "-q"],
                "predict": ["predict", folder / "run", zoo, "-o", folder / "out.csv", "--force", "-q"],
                "train": ["train", "--recipe", "generalization/relu-mlp", "--zoo", zoo, *training, "--force", "-q"],
            }
            commands["train"] += ["-o", folder / "trained"]
            for work, words in commands.items():
                cost = measure_command(*words)
                limit = TRAINING_LIMIT if work == "train" else LIMIT
                note = f"{cost.bytes / 1e6:.0f} MB, {cost.seconds:.1f} s, {spec.num_parameters} numbers a network"
                name = f"memory of mnfn {work}, {count:,} networks"
                record(Row(name, f"{limit / 1e6:.0f} MB", cost.bytes / limit, 1, "lower", note))


if __name__ == "__main__":
    main()
