"""The jobs that the definitions make, rendered by Jenkins Job Builder itself. Slow to import, so import it late."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError

MOST_LINES = 12
QUIET = ("jenkins_jobs", "stevedore")


@dataclass(frozen=True)
class Definitions:
    """``jobs`` are XML by whole name; ``views`` are only named: they are not ours to change."""

    jobs: Mapping[str, str]
    views: tuple[str, ...]
    warnings: tuple[str, ...]


def managed_mark() -> str:
    """What Jenkins Job Builder writes at the end of the description of each job that it makes."""
    from jenkins_jobs.constants import MAGIC_MANAGE_STRING  # type: ignore[import-untyped]

    return str(MAGIC_MANAGE_STRING)


def render(paths: Sequence[Path], plugins: list[Any] | None) -> Definitions:
    """All jobs of the files and folders. ``plugins``: those installed, as some XML depends on their versions; None:
    not known, then the newest are assumed.

    Raises ConfigurationError with Jenkins Job Builder's reason.
    """
    if not paths:
        raise ConfigurationError(
            "jenkins.definitions in ci.yaml names no files.",
            next_step="name the files and folders of the job definitions.",
        )
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"there is no {path}.", next_step="correct jenkins.definitions in ci.yaml.")
    with _quiet() as said:
        try:
            from jenkins_jobs import registry  # type: ignore[import-untyped] # noqa: F401
            from jenkins_jobs.errors import JenkinsJobsException  # type: ignore[import-untyped]
        except ImportError as error:
            # registry needs pkg_resources, which the newest setuptools have no more.
            raise ConfigurationError(
                f"rendering jobs needs a package that is not installed: {error.name or error}.",
                next_step="install openstack-driver-ci[trusted] on the trusted side"
                + (", and 'setuptools<82'." if error.name == "pkg_resources" else "."),
            ) from error
        try:
            jobs, views = _rendered(paths, plugins)
        except JenkinsJobsException as error:
            raise _refused("\n".join(str(line) for line in error.lines)) from error
        except (Exception, SystemExit) as error:
            # Its modules let many kinds of exceptions through for a definition they did not expect.
            raise _refused(f"{type(error).__name__}: {error}") from error
    if not jobs:
        raise ConfigurationError(
            f"the definitions make no job: {', '.join(map(str, paths))}.",
            next_step="see that a 'project' with 'jobs' is among them.",
        )
    return Definitions(jobs, views, tuple(dict.fromkeys(said)))


def _rendered(paths: Sequence[Path], plugins: list[Any] | None) -> tuple[dict[str, str], tuple[str, ...]]:
    from jenkins_jobs.config import JJBConfig  # type: ignore[import-untyped]
    from jenkins_jobs.loader import load_files  # type: ignore[import-untyped]
    from jenkins_jobs.registry import ModuleRegistry  # type: ignore[import-untyped]
    from jenkins_jobs.roots import Roots  # type: ignore[import-untyped]
    from jenkins_jobs.xml_config import XmlJobGenerator  # type: ignore[import-untyped]

    # A file that is not there: the jobs depend on the definitions alone, not on whose machine renders them.
    config = JJBConfig("/dev/null/none")
    config.builder["plugins_info"] = plugins or []
    roots = Roots(config)
    load_files(config, roots, list(paths))
    registry = ModuleRegistry(config, plugins or [])
    registry.set_macros(roots.macros)
    jobs = roots.generate_jobs()
    views = tuple(sorted(str(view.name) for view in roots.generate_views()))
    registry.amend_job_dicts(jobs)
    rendered = XmlJobGenerator(registry).generateXML(jobs)
    return {str(job.name): job.output().decode("utf-8") for job in rendered}, views


def _refused(said: str) -> ConfigurationError:
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    more = f"\n  and {len(lines) - MOST_LINES} lines more" if len(lines) > MOST_LINES else ""
    shown = "".join(f"\n  {line}" for line in lines[:MOST_LINES])
    return ConfigurationError(
        f"Jenkins Job Builder cannot render the definitions; nothing was changed:{shown}{more}\n",
        next_step="correct them; 'jenkins-jobs test' with the same files says the same.",
    )


class _Collected(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        # That our configuration file is not there is meant so.
        if "Config file" not in record.getMessage():
            self._said.append(record.getMessage())


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """Nothing of what Jenkins Job Builder says reaches our output; its warnings are collected."""
    said: list[str] = []
    root, handler = logging.getLogger(), _Collected(said)
    before, level = root.handlers[:], root.level
    # With a handler, logging.info() sets up none of its own; JJB logs to the root logger, too.
    root.handlers[:] = [handler]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield said
    finally:
        root.handlers[:] = before
        root.setLevel(level)
