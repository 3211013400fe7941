"""Runs inside OpenStack's environment: Keystone's WSGI application for uWSGI."""

import gc

import sqlite_pool

sqlite_pool.register()

try:
    from keystone.wsgi.api import application
except ImportError:
    # Before 2025.1 there was no module with a ready application.
    from keystone.server.wsgi import initialize_public_application

    application = initialize_public_application()

# What is loaded now lives as long as the process: the collector need not look at it again.
gc.collect()
gc.freeze()
