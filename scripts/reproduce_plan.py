"""The paper's tables of results and its Figure 1 as sweeps and evaluations of mnfn."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mnfn_cli.tasks.sweep import Trial, plan_sweep

SEEDS = range(5)
RANGES = (10, 100, 1000, 10000)
RELU_ZOOS = ("relu", *(f"relu-{x}" for x in RANGES))
TANH_ZOOS = ("tanh", "tanh-flipped")


@dataclass(frozen=True)
class Experiment:
    """A table or a figure of the paper, made by one sweep and one evaluation.

    Args:
        title: its name in the paper.
        text: what it shows, as a paragraph.
        recipes: the recipes, each followed by values of its own as in ``mnfn sweep --recipe``.
        zoos: the zoos on each of which every recipe is trained; empty if every recipe names its own.
        overrides: values for all recipes.
        scales: the option of that name of ``mnfn evaluate``.
    """

    title: str
    text: str
    recipes: Sequence[str]
    zoos: Sequence[str] = ()
    overrides: Sequence[str] = ()
    scales: str | None = None

    @property
    def folder(self) -> str:
        """The name of the folders of the sweep and of the evaluation."""
        return self.title.lower().replace(" ", "-")

    @property
    def variants(self) -> list[str]:
        """A value for each zoo, if there are several."""
        return [f"data.zoo=[zoos/{zoo}]" for zoo in self.zoos] if len(self.zoos) > 1 else []

    @cached_property
    def trials(self) -> list[Trial]:
        """Every run of the sweep."""
        return plan_sweep(
            self.recipes,
            SEEDS,
            variants=[[variant] for variant in self.variants] or [()],
            overrides=self.overrides,
            zoos=[] if self.variants else [Path("zoos", zoo) for zoo in self.zoos],
        )

    def commands(self) -> list[str]:
        """Return the command of the sweep and that of the evaluation."""
        sweep = ["mnfn", "sweep"]
        for recipe in self.recipes:
            sweep += ["--recipe", recipe]
        for variant in self.variants:
            sweep += ["--vary", variant]
        if self.zoos and not self.variants:
            sweep += ["--zoo", f"zoos/{self.zoos[0]}"]
        sweep += ["--seeds", ",".join(map(str, SEEDS)), "-o", f"sweeps/{self.folder}", *self.overrides]
        scales = f" --scales {self.scales}" if self.scales else ""
        evaluate = f"mnfn evaluate sweeps/{self.folder}/*-seed?{scales} -o evaluations/{self.folder}"
        return [shlex.join(sweep), evaluate]


def _accuracy_recipes(activation: str, *models: str) -> list[str]:
    return [f"generalization/{activation}-{model}" for model in models]


def _classifiers(data: str) -> list[str]:
    """Return the classifiers of a data set, with the warm-up of the published code where it is longer than usual."""
    zoo = f"data.zoo=[zoos/{data}]"
    longer = "" if data == "mnist" else ";optimizer.warmup_steps=20000"
    names = [f"classification/{data}-{model};{zoo}" for model in ("monomial", "np", "hnp", "mlp")]
    return [names[0] + longer, *names[1:]]


def _editors(subject: str, zoo: str) -> list[str]:
    return [f"editing/{subject}-{model};data.zoo=[zoos/{zoo}]" for model in ("monomial", "np", "hnp", "mlp")]


EXPERIMENTS = (
    Experiment(
        "Table 2",
        """\
Kendall's tau on tanh networks, trained and tested on the original networks, and on these together with a copy of each
that was permuted and flipped.""",
        _accuracy_recipes("tanh", "monomial", "statnn", "np", "hnp"),
        TANH_ZOOS,
    ),
    Experiment(
        "Table 3",
        """\
Accuracy of the classes of the pictures inside INRs. The text states no length of the warm-up; the published code takes
10,000 steps, and 20,000 for the monomial model on FashionMNIST and CIFAR-10.""",
        [recipe for data in ("mnist", "fashion", "cifar10") for recipe in _classifiers(data)],
        overrides=["optimizer.warmup_steps=10000"],
    ),
    Experiment(
        "Table 4",
        "Mean squared error between the picture of the edited weights and the target picture, on [-1, 1].",
        _editors("cifar10-contrast", "cifar10") + _editors("mnist-dilate", "mnist"),
    ),
    Experiment(
        "Table 12",
        """\
Kendall's tau on ReLU networks, trained and tested on the original networks, and on these together with a copy of each
that was permuted and scaled by factors from `U[1, x]`.""",
        _accuracy_recipes("relu", "monomial", "gnn"),
        RELU_ZOOS,
        scales="1e4",
    ),
    Experiment(
        "Table 13",
        "Like Table 12, for tanh networks and sign flips. The monomial runs are those of Table 2.",
        _accuracy_recipes("tanh", "monomial", "gnn"),
        TANH_ZOOS,
    ),
    Experiment(
        "Table 14",
        """\
ReLU networks, trained on original ones and tested on permuted and scaled ones. The runs are those of Table 12 on
`zoos/relu`: with `sweeps/table-12/*zoos-relu-seed?` the second command does without the first.""",
        _accuracy_recipes("relu", "monomial", "gnn"),
        ("relu",),
        scales="10,1e2,1e3,1e4",
    ),
    Experiment(
        "Table 15",
        "Like Table 14, for tanh networks and sign flips. The runs are those of Table 13 on `zoos/tanh`.",
        _accuracy_recipes("tanh", "monomial", "gnn"),
        ("tanh",),
    ),
    Experiment(
        "Figure 1",
        """\
Kendall's tau on ReLU networks over the range of the factors. The text does not say on what the models were trained; we
read it as in Table 12, whose monomial runs are among these. `evaluations/figure-1/robustness.png` is the figure.""",
        _accuracy_recipes("relu", "monomial", "statnn", "np", "hnp"),
        RELU_ZOOS,
        scales="1e4",
    ),
)
"""All experiments, in the order of the page."""
