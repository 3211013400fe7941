"""Faults of the vendor's controller, inside of the gate and outside."""

from __future__ import annotations

from benchmarks.blame.case import Case
from benchmarks.blame.case_run import CaseRun
from benchmarks.blame.selections import FEW, FEW_PORTS, NETWORKS, NETWORKS_AND_PORTS, PORTS
from benchmarks.blame.servers import controller_with, outside_controller


def down_before(run: CaseRun) -> None:
    outside_controller(run, None)


def goes_away(run: CaseRun) -> None:
    outside_controller(run, "goes-away after=25")


def flaps(run: CaseRun) -> None:
    outside_controller(run, "flaps up=5 down=5")


def dies_each_time(run: CaseRun) -> None:
    controller_with(run, "dies after=25")


def dies_once(run: CaseRun) -> None:
    controller_with(run, "dies after=25 once=1")


def slow(run: CaseRun) -> None:
    # Beyond the driver's time-out, which is 3 s here; it asks twice.
    run.config["driver"]["neutron_config"]["ml2_conf.ini"]["ml2_example"]["timeout"] = 1
    controller_with(run, "slow seconds=1.5")


def slow_for_a_while(run: CaseRun) -> None:
    run.config["driver"]["neutron_config"]["ml2_conf.ini"]["ml2_example"]["timeout"] = 1
    controller_with(run, "slow seconds=1.5 until=12")


def late(run: CaseRun) -> None:
    controller_with(run, "late seconds=5")


def refuses_ports(run: CaseRun) -> None:
    controller_with(run, "refuses")


def refuses_once(run: CaseRun) -> None:
    controller_with(run, "refuses times=1")


def refuses_until(run: CaseRun) -> None:
    controller_with(run, "refuses until=25")


def refuses_now_and_then(run: CaseRun) -> None:
    controller_with(run, "refuses every=9")


def one_of_two(run: CaseRun) -> None:
    run.config["gate"]["shards"] = 2
    run.config["tempest"]["concurrency"] = 1
    controller_with(run, "refuses shard=1")


def loses_ports(run: CaseRun) -> None:
    controller_with(run, "loses")


_NOT = ("ci", "nobody", "unknown")
CASES = (
    Case("controller-down", "ci", "the controller is down before the start", down_before, ("ci",), FEW),
    Case("controller-goes-away", "ci", "it answers nothing after 25 documents", goes_away, ("ci",), NETWORKS),
    Case("controller-flaps", "ci", "it is gone for 5 s of each 10 s", flaps, ("ci", "unknown"), NETWORKS_AND_PORTS),
    Case("controller-dies", "ci", "it dies at the 25th document on each gate", dies_each_time, ("ci",), NETWORKS),
    Case("controller-dies-once", "ci", "it dies at the 25th document, once", dies_once, ("ci", "nobody"), NETWORKS),
    Case("controller-slow", "ci", "it answers later than the driver waits", slow, ("ci",), FEW),
    Case("controller-slow-a-while", "ci", "the same for 12 s", slow_for_a_while, ("ci", "nobody"), FEW),
    Case("controller-late", "ci", "it listens 5 s after its start", late, ("nobody",), FEW),
    Case("controller-refuses", "ci", "it refuses every port", refuses_ports, ("ci",), PORTS),
    Case("flaky-test", "ci", "it refuses one port, once", refuses_once, ("nobody",), FEW_PORTS),
    Case("controller-refuses-a-while", "ci", "it refuses ports for 25 s", refuses_until, _NOT, FEW_PORTS),
    Case("controller-unstable", "ci", "it refuses each ninth document", refuses_now_and_then, _NOT, FEW),
    Case("controller-of-one-shard", "ci", "that of one shard of two refuses ports", one_of_two, _NOT, PORTS),
    Case("controller-loses", "ci", "it says yes to ports and forgets them", loses_ports, ("ci",), PORTS),
)
