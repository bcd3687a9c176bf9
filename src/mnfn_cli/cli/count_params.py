"""mnfn count-params: count the parameters of models, and compare with the paper's counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnfn_cli.cli.completion import recipes
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, run_plugins
from mnfn_cli.cli.options import A_PICTURE, Force, Json, Overrides, Plugins, Quiet, examples
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.recipe import Recipe
    from mnfn_cli.report.counting import Size
    from mnfn_cli.weightspace.spec import NetworkSpec

EXAMPLES = examples(
    "mnfn count-params",
    "mnfn count-params --recipe generalization/relu-monomial",
    "mnfn count-params --recipe editing/mnist-dilate-np --widths 2,64,64,64,1 model.base_channels=[32,32]",
    "mnfn count-params --growth -o growth.png",
)


def count_params(
    overrides: Overrides = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Count the model of this recipe; give the option again for more.", autocompletion=recipes),
    ] = None,
    zoo: Annotated[
        Path | None, typer.Option(help="Let it read this zoo's networks.", show_default="those the recipe is for")
    ] = None,
    widths: Annotated[
        str | None, typer.Option(help="Let it read dense networks of these widths, such as 2,32,32,1.")
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="Let those networks have this activation.", show_default="the recipe's")
    ] = None,
    growth: Annotated[
        bool, typer.Option("--growth", help="Count one layer of each kind on networks of growing depth and width.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the growth into this PNG file."), A_PICTURE
    ] = None,
    plugin: Plugins = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Count the parameters of the paper's models, of a recipe's model layer by layer, or of single layers.

    Without --recipe and --growth, the models of the paper are counted and compared with the paper's own counts.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import UsageError

    run_plugins(console, plugin)

    if growth and recipe:
        raise UsageError("--growth", "counts layers of no recipe; leave out --recipe")
    if out is not None and not growth:
        raise UsageError("--out", "draws the growth; add --growth")
    if not recipe and (overrides or zoo or widths or activation):
        raise UsageError("mnfn count-params", "an override, --zoo, --widths and --activation need --recipe")
    if zoo is not None and (widths or activation):
        raise UsageError("--zoo", "says which networks are read; leave out --widths and --activation")
    if activation is not None and widths is None:
        raise UsageError("--activation", "goes with --widths")

    if growth:
        _growth(console, out, force)
    elif recipe:
        # As an override, so that reading the recipe checks that its model fits networks with this activation.
        chosen = [] if activation is None else [f"data.activation={activation}"]
        _recipes(console, recipe, [*(overrides or []), *chosen], zoo, widths)
    else:
        _paper(console)


def _paper(console: Console) -> None:
    from mnfn_cli.report.counting import paper_tables

    tables = paper_tables()
    documents = {title: [row.to_json() for row in rows] for title, rows in tables.items()}
    columns = {name: name for name in ("recipe", "paper", "ours", "parameters")}
    shown = [Table(rows, columns, title, {"parameters": ","}) for title, rows in documents.items()]
    console.result({"tables": [{"title": title, "rows": rows} for title, rows in documents.items()]}, *shown)


def _recipes(
    console: Console,
    names: Sequence[str],
    overrides: Sequence[str],
    zoo: Path | None,
    widths: str | None,
) -> None:
    from mnfn_cli.models.functional import count_parameters
    from mnfn_cli.recipe import load_recipe
    from mnfn_cli.tasks.counting import layers_of, skeleton, spaces_of_zoo, usual_space

    documents, tables = [], []
    for name, recipe in [(name, load_recipe(name, overrides)) for name in names]:
        facts: Mapping[str, Any] = {}
        if zoo is not None:
            specs, facts = spaces_of_zoo(zoo, recipe)
        else:
            specs = [_dense(widths, recipe) if widths is not None else usual_space(name, recipe)]
        model = skeleton(recipe, specs, **facts)
        layers, total = layers_of(model), count_parameters(model)
        rows = [
            {
                "module": "  " * layer.depth + layer.path,
                "kind": layer.kind,
                "shapes": ", ".join(_shape(shape) for shape in layer.shapes),
                "parameters": layer.parameters,
            }
            for layer in layers
        ]
        rows.append({"module": "total", "kind": type(model).__name__, "shapes": "", "parameters": total})
        title = f"{name}, for networks {'; '.join(map(str, specs))}"
        tables.append(Table(rows, title=title, formats={"parameters": ","}))
        described = [spec.to_json() for spec in specs]
        weight_spaces = {"weight_space": described[0]} if len(specs) == 1 else {"weight_spaces": described}
        documents.append(
            {
                "recipe": name,
                **weight_spaces,
                "layers": [layer.to_json() for layer in layers],
                "parameters": total,
            }
        )
    console.result({"recipes": documents}, *tables)


def _growth(console: Console, out: Path | None, force: bool) -> None:
    from mnfn_cli.report.counting import CHANNELS, growth
    from mnfn_cli.storage.outputs import Output

    if out is not None:
        claim([Output(out)], [], force=force)
    sizes = growth()
    title = f"One layer, {CHANNELS} to {CHANNELS} channels, for dense ReLU networks 2 -> ... -> 1"
    if out is not None:
        from mnfn_cli.report.figures import plot_growth

        plot_growth(sizes).save(out)
        console.note(f"drawn: {out}")
    document = {along: [size.to_json() for size in rows] for along, rows in sizes.items()}
    tables = [_growth_table(along, rows) for along, rows in sizes.items()]
    console.result({"channels": CHANNELS, "activation": "relu", **document}, title, *tables)


def _growth_table(along: str, sizes: "Sequence[Size]") -> Table:
    fixed = f"width {sizes[0].width}" if along == "depth" else f"depth {sizes[0].depth}"
    rows = [{along: getattr(size, along), **size.parameters} for size in sizes]
    return Table(rows, title=f"Hidden {fixed}", formats=dict.fromkeys(sizes[0].parameters, ","))


def _dense(widths: str, recipe: "Recipe") -> "NetworkSpec":
    from mnfn_cli.errors import UsageError
    from mnfn_cli.weightspace.spec import NetworkSpec

    numbers = [number.strip() for number in widths.split(",")]
    if not all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        raise UsageError("--widths", f"'{widths}'; write whole numbers with commas between, such as 2,32,32,1")
    return NetworkSpec.mlp([int(number) for number in numbers], recipe.data.activation or "sin")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
