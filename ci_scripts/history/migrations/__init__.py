"""How the history's tables came to be, step by step (Alembic). A package, so that a wheel brings it.

A step that was released is never changed. To add one: change tables.py, write ``versions/000N_what.py`` whose
``down_revision`` is the newest so far, and run tests/history/test_history_migrations.py, which compares the two.
"""
