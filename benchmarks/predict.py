"""``mnfn predict`` on 10,000 networks of a packed zoo against the bare forward passes, start-up not counted."""

import argparse
import tempfile
from pathlib import Path

import torch

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, load_run, save_zoo
from mnfn_cli.recipe import load_recipe
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.functional import BLOCK
from mnfn_cli.tasks.training import train_run
from timing import interleaved


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    count = arguments.networks
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10)
    features = WeightSpaceFeatures.randn(spec, count).map(lambda tensor: 0.2 * tensor)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = ["train" if row % 10 else "test" if row % 20 else "val" for row in range(count)]
        table = {"id": [f"{row:05d}" for row in range(count)], "split": splits, "test_accuracy": [0.5] * count}
        save_zoo(folder / "zoo", spec, features, table)
        overrides = [f"data.zoo=['{folder / 'zoo'}']", "training.epochs=null", "training.steps=1"]
        train_run(load_recipe("generalization/relu-monomial", overrides), folder / "run")
        model = load_run(folder / "run").model

        def forward() -> None:
            with torch.inference_mode():
                for start in range(0, count, BLOCK):
                    model(features.select(slice(start, start + BLOCK)))

        def command() -> None:
            write_text(folder / "out.csv", apply_run(folder / "run", folder / "zoo").to_csv())

        seconds = interleaved({"forward": forward, "predict": command}, arguments.rounds)
    print(f"bare forward passes {count / seconds['forward']:8.0f} networks/s")
    print(f"mnfn predict        {count / seconds['predict']:8.0f} networks/s")
    print(f"ratio of times      {seconds['predict'] / seconds['forward']:8.2f}")


if __name__ == "__main__":
    main()
