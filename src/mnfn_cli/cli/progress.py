"""Show progress: as a bar on a terminal, elsewhere as a line of text every 10 seconds."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0

Say = Callable[[str], None]


class Bar:
    """A ``Progress`` that draws a bar on stderr.

    Args:
        say: a function that prints a note.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._bar: tqdm[Any] | None = None
        self._figures: dict[str, str] = {}

    def start(self, description: str, total: int) -> None:
        from tqdm import tqdm

        if self._bar is not None:
            self._bar.close()
        self._bar = tqdm(total=total, desc=description, dynamic_ncols=True, leave=False, file=sys.stderr)
        self._figures = {}

    def advance(self, steps: int = 1, **figures: float) -> None:
        assert self._bar is not None
        self._figures |= {name: f"{value:.3f}" for name, value in figures.items()}
        self._bar.set_postfix(self._figures, refresh=False)
        self._bar.update(steps)
        if self._bar.n >= (self._bar.total or 0):
            self._bar.close()

    def note(self, text: str) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            self._say(text)


class Lines:
    """A ``Progress`` that prints lines of text.

    Args:
        say: a function that prints a note.
    """

    def __init__(self, say: Say) -> None:
        self.note = say
        self._description, self._total, self._done, self._last = "", 0, 0, time.monotonic()
        self._figures: dict[str, float] = {}

    def start(self, description: str, total: int) -> None:
        self._description, self._total, self._done, self._last = description, total, 0, time.monotonic()
        self._figures = {}

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._done += steps
        self._figures |= figures
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            shown = "".join(f", {name} {value:.3f}" for name, value in self._figures.items())
            self.note(f"{self._description}: {self._done} of {self._total}{shown}")
