"""Plugins: the user's own models, declared in a Python file or an importable module."""

import hashlib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from mnfn_cli.errors import UsageError
from mnfn_cli.regular_files import read_regular


@dataclass(frozen=True)
class Plugin:
    """A plugin that was loaded.

    Args:
        name: the absolute path of the Python file, or the name of the module.
        module: the name of the module in this process.
        sha256: the SHA-256 of the source file as hexadecimal text; None if the module has no source file.
    """

    name: str
    module: str
    sha256: str | None


_loaded: dict[str, Plugin] = {}


def load_plugin(name: str) -> Plugin:
    """Run the code of a plugin, once in a process, so that recipes can name the models that it declares.

    Args:
        name: the path of a Python file, or the name of an importable module.

    Raises:
        UsageError: there is no such file or module, or its code raises an error.
    """
    path = Path(name)
    is_file = path.suffix == ".py" or path.is_file()
    name = str(path.absolute()) if is_file else name
    # Two files of one name in two folders are two modules.
    module = f"mnfn_plugin_{hashlib.sha256(name.encode()).hexdigest()[:8]}_{path.stem}" if is_file else name
    if module not in _loaded:
        try:
            source = _run_file(path, module) if is_file else importlib.import_module(name).__file__
        except (ImportError, OSError, ValueError) as error:
            raise UsageError("--plugin", f"'{name}' is no Python file and no importable module: {error}") from error
        except Exception as error:
            raise UsageError(f"--plugin {name}", f"{type(error).__name__}: {error}") from error
        _loaded[module] = Plugin(name, module, _checksum(source))
    return _loaded[module]


def plugin_of(declared: type) -> Plugin | None:
    """Return the plugin that defined a class; None for a class of mnfn."""
    return _loaded.get(declared.__module__)


def find_plugin(name: str) -> Plugin | None:
    """Return the loaded plugin with this name, or with the same file name in another folder; None if there is none."""
    return next((p for p in _loaded.values() if p.name == name or Path(p.name).name == Path(name).name), None)


def plugin_files() -> list[Path]:
    """Return the files of the plugins that were loaded as files."""
    return [path for path in (Path(plugin.name) for plugin in _loaded.values()) if path.is_file()]


def _run_file(path: Path, module: str) -> str:
    spec = importlib.util.spec_from_file_location(module, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError("no such Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[module] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[module]
        raise
    return str(path)


def _checksum(source: str | None) -> str | None:
    return None if source is None else hashlib.sha256(read_regular(Path(source))).hexdigest()
