"""The control process: rules reload, admin API, metrics, pilot, history."""
