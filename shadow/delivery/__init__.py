"""How a write reaches the other side: in which order, as what, how often, and what is known of it afterwards.

Pure but for `deliver`, which sends; the shadower keeps time and holds the journal.
"""
