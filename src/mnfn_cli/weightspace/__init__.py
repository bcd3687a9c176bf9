"""What a weight space is: shapes, features, the monomial group, canonical form, running networks."""
