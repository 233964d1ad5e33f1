"""The command line: parse, call one use case, return an exit code."""
