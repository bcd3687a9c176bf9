"""mnfn recipe: list, show and check recipes. Nothing here imports torch."""

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.help import App
from mnfn_cli.cli.options import Json, Overrides, Quiet, RecipeName, examples

app = App(help="List, show and check recipes, which say which model to train, on which zoos and how.")


@app.command("list", epilog=examples("mnfn recipe list"))
def list_all(quiet: Quiet = False, json: Json = False) -> None:
    """List the recipes that come with mnfn."""
    from mnfn_cli.recipe import list_recipes

    entries = list_recipes()
    rows = [{"name": entry.name, "summary": entry.summary, "path": str(entry.path)} for entry in entries]
    Console(quiet=quiet, json=json).table(rows, columns={"name": "recipe", "summary": "what it does"})


@app.command("show", epilog=examples("mnfn recipe show generalization/relu-monomial > my-recipe.yaml"))
def show(recipe: RecipeName, overrides: Overrides = None, quiet: Quiet = False, json: Json = False) -> None:
    """Print a recipe as its file is written; with overrides or --json, with all defaults and overrides."""
    from mnfn_cli.recipe import find_recipe, load_recipe, recipe_to_document, recipe_to_yaml

    resolved = load_recipe(recipe, overrides or [])
    text = recipe_to_yaml(resolved) if overrides else find_recipe(recipe).read_text("utf-8")
    Console(quiet=quiet, json=json).result(recipe_to_document(resolved), text.rstrip("\n"))


@app.command("validate", epilog=examples("mnfn recipe validate generalization/relu-monomial training.epochs=5"))
def validate(recipe: RecipeName, overrides: Overrides = None, quiet: Quiet = False, json: Json = False) -> None:
    """Check a recipe, and name all of its faults."""
    from mnfn_cli.recipe import load_recipe, recipe_to_document

    resolved = load_recipe(recipe, overrides or [])
    Console(quiet=quiet, json=json).result(recipe_to_document(resolved), f"{recipe}: a valid recipe")
