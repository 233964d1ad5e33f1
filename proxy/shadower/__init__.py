"""The shadower process: owns the journal and the pairs, makes copies and deliveries."""
