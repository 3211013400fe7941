"""Runs inside OpenStack's environment: create or drop schemas on a MySQL server.

python schemas.py create|drop     < one mysql+pymysql:// URL per line
"""

import sys

import sqlalchemy as sa


def main(verb, urls):
    for url in map(sa.make_url, urls):
        # URL.set() takes None for "as it is".
        server = sa.create_engine(url._replace(database=None), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE IF EXISTS `{url.database}`"))
            if verb == "create":
                connection.execute(sa.text(f"CREATE DATABASE `{url.database}` CHARACTER SET utf8mb3"))


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read().split())
