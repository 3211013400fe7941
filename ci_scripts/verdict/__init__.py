"""Tests from subunit, evidence and proof, and the decision made from them.

Nothing here has a clock, a network or a process of its own: the same files always give the same verdict.
"""
