"""Taking back votes and comments that should never have been: which, how it is said, and doing it once."""
