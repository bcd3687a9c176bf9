"""Importers, one file for each foreign format. Each makes a ``Plan``, which ``write_plan`` turns into a zoo."""
