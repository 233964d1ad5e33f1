"""The running thing: data plane, worker, shadower, control, supervisor, command line. Wires the other three."""
