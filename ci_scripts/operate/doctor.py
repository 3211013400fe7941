"""ci-operate doctor: is everything there that the job needs, and if not, how to mend it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ci_scripts.operate.examination import Finding
    from ci_scripts.settings import SettingRow


@click.command(epilog="Example: ci-operate doctor --config examples/ci.yaml --show-settings")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration. Default: $CI_CONFIG, else ci.yaml.")
@click.option("--show-settings", is_flag=True, help="Print every setting and where it came from, and ask nothing.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of ci.yaml for editors, and ask nothing.")
@click.option("--trusted", is_flag=True, help="Instead what the trusted side needs: Gerrit, logs, history, contacts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(config: Path | None, show_settings: bool, schema: bool, trusted: bool, as_json: bool) -> None:
    """Check ci.yaml, git, Python, disk, memory, ports, the package index, the git servers, the driver, the controller.

    Exit code 0: the job can run. 2: the configuration is wrong. 3: something else is; each finding says how to mend it.
    """
    from ci_scripts.errors import InfrastructureError
    from ci_scripts.operate.examination import examine
    from ci_scripts.operate.trusted_examination import examine_trusted
    from ci_scripts.settings import json_schema, load_settings, read_environment, settings_with_origins

    if schema:
        click.echo(json.dumps(json_schema(), indent=1))
        return
    environment = read_environment()
    if show_settings:
        _print_settings(settings_with_origins(config, environment=environment), as_json)
        return
    findings: list[Finding] = []
    look = examine_trusted if trusted else examine
    for finding in look(load_settings(config, environment=environment), environment):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    bad = [finding.what for finding in findings if not finding.good]
    if bad:
        raise InfrastructureError(f"{len(bad)} of {len(findings)} checks failed: {', '.join(bad)}.")


def _print(finding: Finding) -> None:
    mark = click.style("ok  ", fg="green") if finding.good else click.style("BAD ", fg="red", bold=True)
    click.echo(f"{mark} {finding.what}: {finding.text}")
    if finding.mend:
        click.echo(f"       mend it: {finding.mend}")


def _print_settings(rows: list[SettingRow], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows], indent=1))
        return
    width = max(len(row.path) for row in rows)
    for row in rows:
        click.echo(f"{row.path:<{width}}  {row.value}  ({row.origin})")
