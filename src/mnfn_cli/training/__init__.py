"""The training loop, the run folder, and the training states from which an interrupted run is resumed."""
