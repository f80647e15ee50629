"""Model files: found, read, held to the contract, tried, opened."""
