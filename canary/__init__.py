"""May it have more traffic? Evidence, gates, rollouts. Knows no HTTP: only named numbers of two sides."""
