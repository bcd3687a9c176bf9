"""The training loop, the run folder and what a resumed run needs."""
