"""The terminal: the only room that imports typer, rich or tqdm."""
