"""The commands that a third-party CI of an OpenStack driver runs, one per stage."""

__version__ = "0.1.0"
