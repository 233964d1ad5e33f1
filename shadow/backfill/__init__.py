"""Giving the candidate what legacy held before the first copy: what is asked, and backfill.db, which knows how far."""
