"""mnfn recipe: list, show and check recipes. Nothing here imports torch."""

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.help import App
from mnfn_cli.cli.job import run_plugins
from mnfn_cli.cli.options import Json, Overrides, Plugins, Quiet, RecipeName, examples

app = App(help="List, show and check recipes, which say what to train, on what and how.")


@app.command("list", epilog=examples("mnfn recipe list"))
def list_all(quiet: Quiet = False, json: Json = False) -> None:
    """List the recipes that come with mnfn, with what their functionals read of a network."""
    from mnfn_cli.recipe import list_recipes, load_recipe

    rows = [
        {
            "name": entry.name,
            "reads": load_recipe(entry.name).model.reads,
            "summary": entry.summary,
            "path": str(entry.path),
        }
        for entry in list_recipes()
    ]
    columns = {"name": "recipe", "reads": "reads", "summary": "what it does"}
    Console(quiet=quiet, json=json).table(rows, columns=columns)


@app.command("show", epilog=examples("mnfn recipe show generalization/relu-monomial > my-recipe.yaml"))
def show(
    recipe: RecipeName, overrides: Overrides = None, plugin: Plugins = None, quiet: Quiet = False, json: Json = False
) -> None:
    """Print a recipe: as it is written, or, with overrides or --json, as it is understood."""
    from mnfn_cli.recipe import find_recipe, load_recipe, recipe_to_document, recipe_to_yaml
    from mnfn_cli.regular_files import read_regular

    console = Console(quiet=quiet, json=json)
    run_plugins(console, plugin)
    resolved = load_recipe(recipe, overrides or [])
    text = recipe_to_yaml(resolved) if overrides else read_regular(find_recipe(recipe)).decode()
    console.result(recipe_to_document(resolved), text.rstrip("\n"))


@app.command("validate", epilog=examples("mnfn recipe validate generalization/relu-monomial training.epochs=5"))
def validate(
    recipe: RecipeName, overrides: Overrides = None, plugin: Plugins = None, quiet: Quiet = False, json: Json = False
) -> None:
    """Check a recipe and name all its faults."""
    from mnfn_cli.recipe import load_recipe, recipe_to_document

    console = Console(quiet=quiet, json=json)
    run_plugins(console, plugin)
    resolved = load_recipe(recipe, overrides or [])
    console.result(recipe_to_document(resolved), f"{recipe}: a valid recipe")
