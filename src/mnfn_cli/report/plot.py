"""A matplotlib figure that needs no display, that a notebook shows, and that is written like every output of mnfn."""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mnfn_cli.storage.atomic import replacing

DPI = 150


class Plot(Figure):
    """A ``matplotlib.figure.Figure`` drawn by Agg, without pyplot: change it as any figure, then ``save`` it.

    A notebook shows it where it is the last value of a cell.

    Args:
        width, height: the size in inches.

    >>> plot = Plot(2.0, 1.0)
    >>> plot.get_size_inches().tolist(), plot.to_png()[1:4]
    ([2.0, 1.0], b'PNG')
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def save(self, path: str | Path) -> None:
        """Write the figure as a PNG, which appears complete under its name; an existing file is replaced.

        Args:
            path: the file.

        Raises:
            StorageError: the file cannot be written.
        """
        with replacing(Path(path)) as temporary:
            self._write(temporary)

    def to_png(self, dpi: int = DPI) -> bytes:
        """Return the figure as a PNG of ``dpi`` pixels an inch; equal figures give equal bytes."""
        file = BytesIO()
        self._write(file, dpi)
        return file.getvalue()

    def _write(self, file: Any, dpi: int = DPI) -> None:
        # No date and no version inside: the same data give the same bytes.
        self.savefig(file, format="png", dpi=dpi, metadata={"Software": None})

    def _repr_png_(self) -> bytes:
        return self.to_png(72)
