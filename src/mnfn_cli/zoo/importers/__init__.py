"""Importers, one file for each foreign format. Each makes a ``zoo.plan.Plan``, from which a zoo is written."""
