"""How an engine reports: the protocol that the terminal implements and that engines are handed."""

from typing import Protocol


class Progress(Protocol):
    """A listener of one long job. Engines call it; they never print."""

    def start(self, description: str, total: int) -> None:
        """Begin a stage of ``total`` steps; a stage before it ends here."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Report ``steps`` more done, with the newest figures (a loss, a rate) by name."""

    def note(self, text: str) -> None:
        """Say one line that the user should read."""


class Silent:
    """A ``Progress`` that says nothing: the default of every engine."""

    def start(self, description: str, total: int) -> None:
        """Ignore it."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
