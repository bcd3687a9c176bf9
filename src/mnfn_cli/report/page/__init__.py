"""One self-contained HTML page about zoos, runs, sweeps, evaluations and tables of predictions."""
