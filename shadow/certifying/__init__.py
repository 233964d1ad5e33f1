"""How consistent are the sides, and who can check it? Strata, chain of all pairs, certificate and its signature."""
