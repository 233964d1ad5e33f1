"""Pairs as tests of their own: a file for pytest that asks a service again and expects what legacy answered."""
