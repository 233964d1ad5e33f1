"""Problems as GitHub shows them beside the lines of a pull request.

The form is that of workflow commands (docs.github.com, "Workflow commands for GitHub Actions"); what a message or a
property may not hold is escaped as the runner's toolkit does it.
"""

from __future__ import annotations

from rules.problems import Problem


def annotation(problem: Problem) -> str:
    """``::warning file=fig.yaml,line=12,col=5,title=overlap::route 'orders': ...``"""
    place = problem.place
    properties = {"file": place.file, "line": place.line, "col": place.column, "title": f"fig: {problem.code}"}
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    route = f"route '{problem.route}': " if problem.route else ""
    witness = f"\n{problem.witness}" if problem.witness is not None else ""
    return f"::{problem.severity.value} {listed}::{_data(route + problem.message + witness)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
