"""Stands in for keystone-manage: leaves a database with endpoints, and keys."""

import configparser
import sqlite3
import sys
from pathlib import Path

parser = configparser.ConfigParser(interpolation=None)
parser.read(sys.argv[sys.argv.index("--config-file") + 1])
database = sqlite3.connect(parser.get("database", "connection").removeprefix("sqlite:///").partition("?")[0])
if "db_sync" in sys.argv:
    database.execute("CREATE TABLE endpoint (url TEXT)")
elif "fernet_setup" in sys.argv:
    Path(parser.get("fernet_tokens", "key_repository"), "0").write_text("key")
elif "bootstrap" in sys.argv:
    url = sys.argv[sys.argv.index("--bootstrap-public-url") + 1]
    database.execute("INSERT INTO endpoint VALUES (?)", (url,))
database.commit()
