"""Do the sides agree? Pairs, comparison, masks, certificate; the journal and its deliveries in a few shell files."""
