"""`fig rules diff`: what a change of the rules does to requests, for a terminal, a pull request and a CI server."""

from proxy.cli.rules.diff.command import diff_rules

__all__ = ["diff_rules"]
