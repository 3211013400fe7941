"""Runs inside OpenStack's environment: Neutron's WSGI application for uWSGI."""

import gc

import sqlite_pool

sqlite_pool.register()

try:
    from neutron.wsgi.api import application
except ImportError:
    # Before 2025.1 there was no module with a ready application.
    from neutron.server import get_application

    application = get_application()

gc.collect()
gc.freeze()
