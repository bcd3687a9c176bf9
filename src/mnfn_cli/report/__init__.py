"""Figures and tables of runs, evaluations, zoos and parameter counts."""
