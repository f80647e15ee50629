"""Picture files to arrays, whatever is in them."""
