"""Numbers that fig does not measure itself: asked of Prometheus, databases and files. The shell files of canary/."""
