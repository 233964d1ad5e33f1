"""From the text of a rules file to located, validated values. Control and the command line read; workers do not."""
