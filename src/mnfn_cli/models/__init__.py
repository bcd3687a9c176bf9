"""Complete neural functionals: modules that read networks' weights. ``recipe.models`` lists them with their options."""
