"""The command line. No other package imports typer, rich or tqdm."""
