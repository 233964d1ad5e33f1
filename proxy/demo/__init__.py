"""`fig demo`: a whole migration on one machine, watched and judged. It starts programs and looks on; fig decides."""
