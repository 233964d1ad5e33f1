"""The canonical layout of rules files: `fig rules fmt`."""
