# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""Does the controller hold what Neutron holds? A check for the end of a CI run; standard library only.

It asks three questions, because an API test alone cannot see a driver that sends wrong data or nothing:

1. Is every network, subnet and port of Neutron in the controller and the other way round, field by field?
2. Did the controller see creates and deletes of every kind that the tests made, and refuse nothing? What they made is
   read from --neutron-log, where ML2's driver ``logger`` notes every call; without it all three kinds are demanded.
3. Does it follow when resources are created, updated and deleted now? (A network with an IPv4 and an IPv6 subnet and
   a port in both; always removed again.) By the end of the tests Neutron is nearly empty, so question 1 alone would
   be answered by a driver that does nothing.

The credentials come from OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME and the other usual variables; they
must be an administrator's.

Exit codes: 0 all is well; 1 differences, listed; 2 wrong usage; 3 it could not ask.
"""

import argparse
import os
import sys
import traceback

import api_clients
import comparison
import exercise


def _arguments():
    parser = argparse.ArgumentParser(description="Compare what the controller holds with what Neutron holds.")
    parser.add_argument("--controller", required=True, metavar="URL", help="root URL of the controller")
    parser.add_argument("--neutron", metavar="URL", help="root URL of Neutron (default: the one in Keystone's catalog)")
    parser.add_argument("--neutron-log", metavar="FILE", help="Neutron's log, with the driver 'logger' loaded")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="per request (default: %(default)s)"
    )
    return parser.parse_args()


def _happened(neutron_log):
    if neutron_log is None:
        return None
    try:
        with open(neutron_log, encoding="utf-8", errors="replace") as log:
            return comparison.postcommits_in(log)
    except OSError as error:
        raise api_clients.CannotAsk(f"{neutron_log}: {error.strerror}") from error


def _check(arguments, environment):
    """Ask all three questions; returns the differences as sentences."""
    controller = api_clients.Controller(arguments.controller, arguments.timeout)
    # Asked before the exercise below, which would hide that the tests created nothing.
    differences = comparison.journal_gaps(controller.journal(), _happened(arguments.neutron_log))
    token, catalog_url = api_clients.authenticate(environment, arguments.timeout)
    neutron_url = arguments.neutron or catalog_url
    if not neutron_url:
        raise api_clients.CannotAsk("Keystone's catalog has no network service: give --neutron URL")
    neutron = api_clients.Neutron(neutron_url, token, arguments.timeout)
    differences += comparison.lasting_differences(neutron, controller)
    differences += exercise.differences_while_changing(neutron, controller)
    return differences


def main():
    """Returns the exit code."""
    arguments = _arguments()
    try:
        differences = _check(arguments, os.environ)
    except api_clients.CannotAsk as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return 3
    except Exception:
        # Python itself would end with 1, which says that the driver is wrong.
        traceback.print_exc()
        return 3
    if differences:
        print(f"{len(differences)} difference(s) between Neutron and the controller:")
        for difference in differences:
            print(f"  - {difference}")
        return 1
    print("the controller holds what Neutron holds, and followed every change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
