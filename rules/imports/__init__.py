"""Draft rules from the configuration of another proxy. Pure, but for reading the files that it is given."""
