"""``mnfn predict``, start-up not counted, by one thread: on a zoo against bare forward passes, on files against a loop.

The loop loads a file with the library of its format, predicts from it, and goes on to the next one. What reads and
checks the files alone is compared with a loop that loads them.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, load_run, save_zoo
from mnfn_cli.recipe import load_recipe
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.functional import BLOCK
from mnfn_cli.tasks.training import train_run
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints
from mnfn_cli.zoo.export import export_zoo
from rows import Row, record
from timing import interleaved


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count, files = arguments.networks, arguments.files
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10)
    features = WeightSpaceFeatures.randn(spec, count).map(lambda tensor: 0.2 * tensor)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Without true values and without enough networks to calibrate from, predict does nothing but predict.
        ids = [f"{row:05d}" for row in range(count)]
        zoo = save_zoo(folder / "zoo", spec, features, {"id": ids, "split": ["test"] * count})
        export_zoo(zoo, folder / "files", limit=files)
        for name, learned in (("run", 30), ("run-with-flag", 300)):
            split = (["train", "val", "test"] * learned)[:learned]
            table = {"id": ids[:learned], "split": split, "test_accuracy": [row / learned for row in range(learned)]}
            save_zoo(folder / f"zoo-of-{name}", spec, features.select(slice(learned)), table)
            overrides = [f"data.zoo=['{folder / f'zoo-of-{name}'}']", "training.epochs=null", "training.steps=1"]
            train_run(load_recipe("generalization/relu-monomial", overrides), folder / name)
        model = load_run(folder / "run").model
        paths = sorted((folder / "files").glob("*.safetensors"))
        wanted = Wanted((spec,), "test_accuracy", float)

        def forward() -> None:
            with torch.inference_mode():
                for start in range(0, count, BLOCK):
                    model(features.select(slice(start, start + BLOCK)))

        def one_by_one() -> None:
            with torch.inference_mode():
                for path in paths:
                    model(WeightSpaceFeatures.from_state_dicts([load_file(path)], spec))

        def predict(networks: str, run: str = "run") -> None:
            write_text(folder / "out.csv", apply_run(folder / run, folder / networks).to_csv())

        jobs = {"forward": forward, "zoo": lambda: predict("zoo"), "flag": lambda: predict("zoo", "run-with-flag")}
        jobs |= {"one by one": one_by_one, "files": lambda: predict("files")}
        seconds = interleaved(jobs, arguments.rounds)
        jobs = {
            "load": lambda: [load_file(path) for path in paths],
            "read": lambda: load_checkpoints(folder / "files", wanted),
        }
        seconds |= interleaved(jobs, 2 * arguments.rounds)
    ratio = seconds["zoo"] / seconds["forward"]
    record(Row("predict, a zoo", "bare forward passes", ratio, 1.05, "lower", f"{count} networks, 1 thread"))
    note = f"{count} networks, 1 thread; with intervals and the flag of unlike networks"
    record(
        Row("predict, a zoo, flagged", "bare forward passes", seconds["flag"] / seconds["forward"], 1.05, "lower", note)
    )
    ratio, note = seconds["one by one"] / seconds["files"], f"{files} files, 1 thread"
    record(Row("predict, single files", "loading and predicting one by one", ratio, 3, "higher", note))
    ratio = seconds["load"] / seconds["read"]
    record(Row("reading and checking single files", "a loop of load_file", ratio, 3, "higher", note))


if __name__ == "__main__":
    main()
