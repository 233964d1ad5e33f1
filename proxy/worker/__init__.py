"""The worker process: the data plane, its links to control and shadower, its observers."""
