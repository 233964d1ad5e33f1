"""Always-valid statistics, pure: each function names its hypothesis, its formula and its source."""
