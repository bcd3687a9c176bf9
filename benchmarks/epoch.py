"""Time of an epoch of a training, from its first batch to its state on the disk, against that of its steps alone.

The epoch reads batches, draws group elements where the recipe asks for them, checks that losses and gradients are
finite, validates, writes a line of metrics and saves a state. The steps alone are as many forward and backward passes
and steps of Adam on one batch that lies ready.
"""

import argparse
import copy
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from many import SPEC, write_many
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.memory import keep_freed_memory
from mnfn_cli.tasks import training
from mnfn_cli.training.loop import Job, run_job
from mnfn_cli.training.run_folder import RunFolder
from mnfn_cli.training.state import Position
from rows import Row, record
from timing import interleaved

RECIPES = ("generalization/relu-monomial", "generalization/relu-np", "generalization/relu-statnn")


class Measured(Exception):  # noqa: N818 - it ends the training, which has served its purpose
    """Carries the ratio out of the training."""


def measure(recipe: str, zoo: Path, rounds: int, device: str) -> float:
    """Return the time of an epoch divided by that of its steps alone."""

    def measured(job: Job, model: torch.nn.Module, run: RunFolder, context: Context) -> Position:
        size = job.loss._batch_size  # type: ignore[attr-defined]
        train, task = job.loss._train, job.loss._task  # type: ignore[attr-defined]
        job = replace(job, total_steps=job.steps_per_epoch, validate_every=job.steps_per_epoch)
        batch, targets = train.features.select(slice(0, size)), train.targets[:size]
        alone = copy.deepcopy(model)
        optimizer = torch.optim.Adam(alone.parameters(), lr=1e-3, fused=True)

        def steps() -> None:
            alone.train()
            for _ in range(job.steps_per_epoch):
                optimizer.zero_grad()
                task.loss(alone, batch, targets, "a step").backward()
                optimizer.step()
            if device != "cpu":
                torch.cuda.synchronize()

        def epoch() -> None:
            for state in run.checkpoints.iterdir():
                state.unlink()
            run_job(job, model, run, context)

        seconds = interleaved({"epoch": epoch, "steps": steps}, rounds)
        raise Measured(seconds["epoch"] / seconds["steps"], job.steps_per_epoch)

    training.run_job = measured  # type: ignore[assignment]
    out = zoo.with_name("run")
    try:
        context = Context(device=torch.device(device))
        training.train_run(load_recipe(recipe, ["training.epochs=1", f"data.zoo=['{zoo}']"]), out, context=context)
    except Measured as found:
        ratio, steps = found.args
        note = f"{steps} steps an epoch, {torch.get_num_threads()} threads, {device}"
        record(Row(f"epoch of {recipe}", "its steps alone", ratio, 1.1, "lower", note))
        return ratio
    finally:
        shutil.rmtree(out, ignore_errors=True)
    raise AssertionError("the training has no steps")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        zoo = write_many(Path(folder) / "zoo", SPEC, arguments.networks).path
        for recipe in arguments.recipes:
            measure(recipe, zoo, arguments.rounds, arguments.device)


if __name__ == "__main__":
    main()
