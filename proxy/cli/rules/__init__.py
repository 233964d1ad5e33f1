"""`fig rules`: what is done with a rules file before it runs. A command per file."""

from __future__ import annotations

import typer

from proxy.cli.rules.check import check_rules
from proxy.cli.rules.diff import diff_rules
from proxy.cli.rules.explain import explain_request
from proxy.cli.rules.fmt import format_rules
from proxy.cli.rules.imports import import_rules
from proxy.cli.rules.schema import print_schema
from proxy.cli.rules.test import run_tests

app = typer.Typer(no_args_is_help=True, help="Check, explain, test and compare routing rules.")
app.command("check")(check_rules)
app.command("diff")(diff_rules)
app.command("explain")(explain_request)
app.command("import")(import_rules)
app.command("fmt")(format_rules)
app.command("schema")(print_schema)
app.command("test")(run_tests)
