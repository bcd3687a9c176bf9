"""Data, model, loss and metrics of each task; and runs, read back."""
