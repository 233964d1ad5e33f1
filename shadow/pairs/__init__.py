"""pairs.db: every pair counted, and those kept that somebody may want to look at.

`store` writes, in the shadower alone; `reader` reads, anywhere.
"""
