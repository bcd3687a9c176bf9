"""Seconds and memory of ``mnfn zoo import small-cnn-zoo`` against a plain loop that reads and writes the same bytes.

The data set is in the layout of the Small CNN Zoo and of its size: 270,000 networks of 4,970 numbers, 5.4 GB. Its
networks are trained on digits, and repeated with small noise until there are enough; all are of the final step, so that
every one is imported, in the order of a random split file. Both ways take turns. Memory is the largest anonymous memory
of the process (RssAnon, asked every 10 ms) above that after its imports; pages of files, which the kernel can drop at
any time, do not count. The folder needs three times the size of the data set.

    python benchmarks/import_small_cnn_zoo.py --networks 270000 --rounds 3
"""

import argparse
import csv
import gzip
import json
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from anonymous import Cost, measure, measure_apart
from mnfn_cli.zoo.build.architectures import cnn_spec
from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.importers.small_cnn_zoo import plan_small_cnn_zoo
from mnfn_cli.zoo.plan import write_plan
from timing import interleaved

BLOCK = 4096
SHAPES = {"conv2d": (3, 3, 1, 16), "conv2d_1": (3, 3, 16, 16), "conv2d_2": (3, 3, 16, 16), "dense": (16, 10)}


def write_data_set(folder: Path, count: int) -> None:
    """Write a data set of ``count`` networks with its split file."""
    images = load_images("digits")
    zoo = build_classifier_zoo(ClassifierZooPlan(cnn_spec(images, "relu"), 40, 1, 0), images, folder / "trained")
    features, accuracies = zoo.read(), zoo.table["test_accuracy"].to_list()
    pieces = []
    for weight, bias in zip(features.weights, features.biases, strict=True):
        array = weight[:, 0].numpy()
        pieces += [bias[:, 0].numpy(), array.transpose((0, 3, 4, 2, 1) if array.ndim == 5 else (0, 2, 1))]
    trained = np.concatenate([piece.reshape(len(piece), -1) for piece in pieces], axis=1)
    random = np.random.default_rng(0)
    out = np.lib.format.open_memmap(folder / "weights.npy", "w+", np.float32, (count, trained.shape[1]))
    for start in range(0, count, BLOCK):
        rows = np.arange(start, min(start + BLOCK, count))
        noise = random.standard_normal((len(rows), 1), dtype=np.float32) * np.float32(1e-3)
        out[rows] = trained[rows % len(trained)] * (1 + noise)
    out.flush()
    start, lines = 0, ["varname,start_idx,end_idx,shape"]
    for name, shape in SHAPES.items():
        for kind, of in (("bias", shape[-1:]), ("kernel", shape)):
            stop = start + int(np.prod(of))
            lines.append(f'sequential/{name}/{kind}:0,{start},{stop},"{of}"')
            start = stop
    (folder / "layout.csv").write_text("\n".join(lines) + "\n")
    config = ["activation", "b_init", "dataset", "dnn_architecture", "dropout", "epochs", "init_std", "l2reg"]
    config += ["learning_rate", "num_layers", "num_units", "optimizer", "random_seed", "train_fraction", "w_init"]
    metrics = ["modeldir", "step", "test_accuracy", "test_loss", "train_accuracy", "train_loss"]
    with gzip.open(folder / "metrics.csv.gz", "wt", 1, newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"config.{name}" for name in config), *metrics])
        for row, (a, b, c, d) in enumerate(random.random((count, 4)).tolist()):
            accuracy = accuracies[row % len(accuracies)]
            drawn = [a, 18, b, c, d, 3, 16, "adam", row % 9, 0.25, "glorot_normal"]
            measured = [f"/folder/of/all/the/models/{row}", 86, accuracy, 2 - accuracy, accuracy, 2 - accuracy]
            writer.writerow(["relu", "zeros", "digits", "cnn", *drawn, *measured])
    (folder / "digits_split.csv").write_text("\n".join(map(str, [0, *random.permutation(count).tolist()])) + "\n")


def import_and_measure(source: Path, output: Path) -> None:
    """Import a data set, and print the seconds and the largest memory above that at the start, in JSON."""
    import polars  # noqa: F401 - the importer imports it where it is used

    print(
        json.dumps(
            asdict(measure(lambda: write_plan(plan_small_cnn_zoo(source, protocol="nfn"), output))), allow_nan=False
        )
    )


def copy(source: Path, output: Path) -> None:
    """Read and write the bytes of the weights in a plain loop, and flush them to the disk."""
    with source.open("rb") as read, output.open("wb") as write:
        while block := read.read(2**24):
            write.write(block)
        write.flush()
        os.fsync(write.fileno())
    output.unlink()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=270_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--natural", action="store_true", help="import in the order of the file, without a split file")
    parser.add_argument("--folder", type=Path, help="where to write; the folder for temporary files by default")
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        import_and_measure(*arguments.child)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        source, output = Path(name) / "foreign", Path(name) / "zoo"
        source.mkdir()
        write_data_set(source, arguments.networks)
        if arguments.natural:
            (source / "digits_split.csv").unlink()
        measured: list[Cost] = []
        processor: list[float] = []

        def run() -> None:
            measured.append(measure_apart(__file__, ["--child", source, output]))
            shutil.rmtree(output)

        def plain() -> None:
            before = time.process_time()
            copy(source / "weights.npy", Path(name) / "copy")
            processor.append(time.process_time() - before)

        seconds = interleaved({"plain": plain, "import": run}, arguments.rounds, warmup=1)
        size = (source / "weights.npy").stat().st_size
    ours = statistics.median(entry.seconds for entry in measured[1:])
    busy, plainly = statistics.median(entry.processor for entry in measured[1:]), statistics.median(processor[1:])
    print(f"{arguments.networks} networks, {size / 1e9:.2f} GB, {'natural' if arguments.natural else 'random'} order")
    print(f"plain loop        {seconds['plain']:8.1f} s, {plainly:8.1f} s of a processor")
    print(f"import            {ours:8.1f} s, {busy:8.1f} s of a processor")
    print(f"ratio             {ours / seconds['plain']:8.2f}  , {busy / plainly:8.2f}")
    print(f"anonymous memory  {max(entry.bytes for entry in measured) / 1e6:8.0f} MB above that after imports")


if __name__ == "__main__":
    main()
