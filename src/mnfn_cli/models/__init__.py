"""Complete neural functionals; ``recipe.models`` declares them."""
