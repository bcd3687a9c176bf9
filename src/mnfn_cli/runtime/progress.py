"""The protocol by which long computations report their progress."""

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a job. Computations call it and never print."""

    def start(self, description: str, total: int) -> None:
        """Begin a stage of ``total`` steps, and end the stage before it."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Report that ``steps`` more steps are done, with the newest figures, such as the loss, by name."""

    def note(self, text: str) -> None:
        """Show one line of text to the user."""


class Silent:
    """A ``Progress`` that shows nothing; the default."""

    def start(self, description: str, total: int) -> None:
        """Do nothing."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""
