"""Unit tests of rules: their file, what they expect, and what they reach."""
