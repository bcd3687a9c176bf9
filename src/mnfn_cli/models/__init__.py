"""Complete neural functionals, one file each, and their registry."""
