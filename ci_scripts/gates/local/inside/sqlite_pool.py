"""Runs inside OpenStack's environment: keeps SQLite connections open between requests.

oslo.db opens and closes the file for every session (NullPool). A pool spares Neutron that work and is asked for in the
database URL: ``sqlite:////path?plugin=ci_keep_connections`` (SQLAlchemy's CreateEnginePlugin).
"""

from sqlalchemy import pool
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

NAME = "ci_keep_connections"


class KeepConnections(CreateEnginePlugin):
    """Gives a file database a queue pool; connections may go from one thread to another, never two at a time."""

    def __init__(self, url, kwargs):
        super().__init__(url, kwargs)
        kwargs["poolclass"] = pool.QueuePool
        # A file cannot go away between requests as a server can.
        kwargs["pool_pre_ping"] = False
        kwargs["connect_args"] = {**kwargs.get("connect_args", {}), "check_same_thread": False}

    def update_url(self, url):
        return url.difference_update_query(["plugin"])


def register():
    """Make the plug-in known; must be called before the first engine is made."""
    plugins.register(NAME, __name__, "KeepConnections")
