"""Pages of the site that are made of other files: the Python reference, the notebook, and the project's own papers.

mkdocs calls these functions (mkdocs.yml, ``hooks``). A package has a page as soon as its ``__all__`` exports names.
"""

import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

sys.path.insert(0, str(Path(__file__).parent))
import notebook_page

ROOT = Path(__file__).parents[1]
PACKAGE = "mnfn_cli"
NOTEBOOK = ROOT / "docs" / "tour.ipynb"
WORKER = "assets/file-worker.js"
PAPERS = {"CHANGELOG.md": "Changelog", "CONTRIBUTING.md": "Contributing", "SECURITY.md": "Security"}


def exports(package: str) -> list[str]:
    """Return the names that a package exports, in the order in which it lists them; those of data are left out."""
    return [name for name in getattr(import_module(package), "__all__", []) if not name.startswith("__")]


def packages() -> list[str]:
    """Return the packages that export names: mnfn_cli, its packages and its modules."""
    inside = sorted(path for path in (ROOT / "src" / PACKAGE).iterdir() if not path.name.startswith("_"))
    names = [f"{PACKAGE}.{path.stem}" for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()]
    stating = [name for name in names if "__all__" in _source(name)]
    return [PACKAGE, *(name for name in stating if exports(name))]


def _source(package: str) -> str:
    path = ROOT / "src" / Path(*package.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def home_of(package: str, name: str) -> str:
    """Return the place where a name that a package exports is defined."""
    found: Any = getattr(import_module(package), name)
    home = getattr(found, "__module__", None)
    return f"{home}.{found.__qualname__}" if home and hasattr(found, "__qualname__") else f"{package}.{name}"


@cache
def documented() -> dict[str, tuple[str, str]]:
    """Return by the place of its definition the package and the name under which each export is documented, once.

    A package inside comes before mnfn_cli, which exports some of their names for short.
    """
    found: dict[str, tuple[str, str]] = {}
    for package in [*packages()[1:], PACKAGE]:
        for name in exports(package):
            found.setdefault(home_of(package, name), (package, name))
    return found


def page_of(package: str) -> str:
    """Return the page on a package: its docstring's first paragraph, and every name that it exports.

    A name that is documented on the page of another package is a link to it.
    """
    about = " ".join((import_module(package).__doc__ or "").strip().split("\n\n")[0].split())
    lines = [f"# {package}", "", about.replace("``", "`"), ""]
    homes = {name: home_of(package, name) for name in exports(package)}
    elsewhere = {name: home for name, home in homes.items() if documented()[home][0] != package}
    if elsewhere:
        lines += [f"Also here, so that `from {package} import NAME` gives them:", ""]
        lines += [f"* [`{name}`][{home}] of `{documented()[home][0]}`" for name, home in elsewhere.items()] + [""]
    for name, home in homes.items():
        if name not in elsewhere:
            lines += [f"::: {home}", ""]
    return "\n".join(lines)


def path_of(package: str) -> str:
    """Return the path of the page on a package."""
    return f"reference/python/{package.removeprefix(f'{PACKAGE}.').removeprefix(PACKAGE) or 'index'}.md"


def on_config(config: Any) -> Any:
    """Put the pages that are made into their places in the navigation."""
    for entry in config.nav:
        if "Project" in entry:
            entry["Project"] = [{title: _paper(name)} for name, title in PAPERS.items() if (ROOT / name).exists()]
        for inner in entry.get("Reference", []):
            if isinstance(inner, dict) and "Python" in inner:
                inner["Python"] = [{package: path_of(package)} for package in packages()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    for package in packages():
        files.append(File.generated(config, path_of(package), content=page_of(package)))
    for name in PAPERS:
        if (ROOT / name).exists():
            text = (ROOT / name).read_text()
            text = re.sub(r"\]\(docs/", "](../", text)
            text = re.sub(rf"\]\(({'|'.join(PAPERS)})", lambda link: link[0].lower(), text)
            files.append(File.generated(config, _paper(name), content=text))
    page, pictures = notebook_page.page_of(NOTEBOOK, "tour")
    files.append(File.generated(config, "tour.md", content=page))
    for name, content in pictures.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take the script that lets the search run from files from the site, not from a server of others."""
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{get_relative_url('.', page.url)}/{WORKER}")


def _paper(name: str) -> str:
    return f"project/{name.lower()}"
