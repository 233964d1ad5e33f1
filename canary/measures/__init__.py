"""One metric's evidence, from exchanges to e-values: what is kept of every window, and how it is read."""
