"""Weight spaces: their specification, features, the monomial group, the canonical form, and forward passes."""
