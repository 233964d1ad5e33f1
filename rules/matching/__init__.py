"""Whether a request is a route's: paths, hosts, conditions, and the index that finds the first. Hot in workers."""
