"""The shadower: owns the journal, grants leases, delivers copies, mirrors reads, and has the pairs compared."""
