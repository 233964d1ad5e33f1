"""The certificates that clients are shown: read in pairs from a folder, chosen by name, followed as they change."""
