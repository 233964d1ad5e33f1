"""Problems as GitHub shows them beside the lines of a pull request."""

from __future__ import annotations

from proxy.cli import workflow
from rules.problems import Problem


def annotation(problem: Problem) -> str:
    """``::warning file=fig.yaml,line=12,col=5,title=fig%3A overlap::route 'orders': ...``"""
    route = f"route '{problem.route}': " if problem.route else ""
    witness = f"\n{problem.witness}" if problem.witness is not None else ""
    message = route + problem.message + witness
    return workflow.annotation(problem.severity.value, message, f"fig: {problem.code}", problem.place)
