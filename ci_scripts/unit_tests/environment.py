"""The environment of the unit tests: the checkouts, what the tests need, the driver; resolved anew for each run."""

from __future__ import annotations

from pathlib import Path

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import driver, environments
from ci_scripts.python_environments import (
    Checkout,
    Requirements,
    distribution_of,
    installed_packages,
    pinned_version,
)
from ci_scripts.run_command import run
from ci_scripts.unit_tests.configuration import unit_tests_of
from ci_scripts.unit_tests.requirements import read_requirements
from ci_scripts.workspace import write_text_atomically

NAME = "unit-tests"
STESTR = "stestr"


def project_of(context: GateContext) -> str:
    """The project whose unit tests run: that of ci.yaml, else that of the change.

    Raises ConfigurationError where it is not checked out.
    """
    wanted = unit_tests_of(context.settings).project or str(context.run["change"]["project"])
    if wanted not in context.checkouts:
        raise ConfigurationError(
            f"{wanted}, whose unit tests are to run, is not checked out in this run.",
            next_step="add it to projects: in ci.yaml, or correct unit_tests.project; then ci-prepare-gate.",
        )
    return wanted


def make_environment(context: GateContext) -> Path:
    """Resolve and make environments/unit-tests: every checkout but the driver's, and what the tests need.

    Raises InfrastructureError naming the log.
    """
    settings = context.settings
    wanted = unit_tests_of(settings)
    tested = context.checkouts[project_of(context)]
    branch = settings.branches.get(context.branch)
    constraints = environments.constraints_files(context, (branch and branch.constraints) or settings.gate.constraints)
    checkouts = [
        Checkout(path, settings.projects[name].version or pinned_version(constraints, distribution_of(path)))
        for name, path in context.checkouts.items()
        if name != settings.driver.project and path.is_dir()
    ]
    needed = [line for file in wanted.requirements for line in read_requirements(tested, file)]
    requirements = Requirements(
        name=NAME,
        packages=list(dict.fromkeys([STESTR, *needed, *wanted.packages])),
        checkouts=checkouts,
        constraints=constraints,
        python=environments.interpreter(context),
    )
    return environments.prepare_one(context, requirements)


def install_driver(context: GateContext, environment: Path) -> str:
    """Put the driver into the environment, leave logs/driver.json and logs/packages.txt; the driver in words.

    Raises InfrastructureError with the installer's last words.
    """
    context.workspace.driver_json.unlink(missing_ok=True)
    installed = driver.install(context, environment)
    version = run([str(environment / "bin" / "python"), "-V"], cwd=environment, env=context.env, timeout=60)
    packages = installed_packages(environment, context.env)
    write_text_atomically(context.workspace.packages_txt, f"# {NAME}: {version.output.strip()}\n{packages}")
    for wheel in sorted((context.workspace.environments_dir / "wheels").glob("*/*.whl")):
        if wheel.as_uri() not in packages:
            raise InfrastructureError(
                f"{wheel.name}, built from the checkout under test, was replaced by another release.",
                log=context.workspace.logs / "install-driver.log",
                next_step="see what the driver requires; the constraints must allow the checkout's version.",
            )
    driver.write_record(context, installed)
    return f"{installed.distribution} {installed.version} {installed.commit or ''}".rstrip()
