"""Stands in for Neutron's tables: the script that makes them ends at once and leaves an almost empty SQLite file."""

import os
import sqlite3
import sys


def install():
    """Called by site.py, before the script of the command line begins."""
    if any(word.endswith("make_neutron_database.py") for word in sys.orig_argv):
        url = next(word for word in sys.orig_argv if word.startswith("sqlite:///"))
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            database.execute("CREATE TABLE networks (id TEXT)")
        os._exit(0)
