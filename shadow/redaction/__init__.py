"""Secrets that are known by their form, wherever they stand: card numbers, e-mail addresses, JWTs, IBANs."""
