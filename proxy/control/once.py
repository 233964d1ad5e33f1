"""`python -m proxy.control --once`: publish what is effective, for the supervisor, before anything else starts.

Apart from control itself because it must not wait for what only a running control imports.
"""

from __future__ import annotations

from proxy.control.book import Book
from proxy.control.settling import open_desk
from proxy.control.store import DATABASE, SqlStore
from proxy.control.told import Told


def once(told: Told) -> Book:
    """Load the rules, settle them with the store, publish. Raises RulesError with every problem."""
    store = SqlStore.at(told.state / DATABASE)
    try:
        book, _ = open_desk(told.rules, told.state, store, strict=True)
    finally:
        store.close()
    return book
