"""Probes: scripted requests that are asked of both sides of a route, and what came of them.

`running` and `sending` wait and talk; all else is pure.
"""
