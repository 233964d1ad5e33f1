"""Which side answers? The rules file, its grammar, the compiled table, units and decisions. Pure; knows nobody."""
