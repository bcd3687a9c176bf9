"""The terminal: the only package that imports typer, rich or tqdm."""
