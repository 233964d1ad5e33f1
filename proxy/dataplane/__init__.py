"""The HTTP/1.1 data plane: parse, decide, send, answer, observe. Imports rules only."""
