"""What was written, durably: intents, outcomes, deliveries, gaps and doubts of every write that goes to two sides.

`journal.Journal` writes, in the shadower alone; `reader.JournalReader` and `reader.read_standing` read, anywhere.
Nothing outside this package knows that it is SQLite.
"""
