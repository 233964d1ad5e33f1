"""Measurements of fig beside its peers, always as ratios within one run; `make bench` runs them."""
