"""The passwords of one DevStack: made for the run, known to its stages, in no log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.meta_config import as_written
from ci_scripts.settings import values_to_mask
from ci_scripts.workspace import SCHEMA, read_json, write_text_atomically

# DevStack asks at a terminal for those that local.conf does not give (read_password in stack.sh).
NAMES = ("ADMIN_PASSWORD", "DATABASE_PASSWORD", "RABBIT_PASSWORD", "SERVICE_PASSWORD")
# 20 letters: Horizon cuts longer ones. Letters and digits only, as read_password demands.
PASSWORD_BYTES = 10


def make_passwords(context: GateContext) -> dict[str, str]:
    """New ones, kept for the run's later stages in a file that only its owner can read."""
    import json

    made = {name: secrets.token_hex(PASSWORD_BYTES) for name in NAMES}
    text = json.dumps({"schema": SCHEMA, "passwords": made}) + "\n"
    write_text_atomically(context.workspace.gate_dir / "devstack-passwords.json", text, mode=0o600)
    context.record.mask(list(made.values()))
    return made


def read_passwords(context: GateContext) -> Mapping[str, str]:
    """Those of this run; none where none were made."""
    path = context.workspace.gate_dir / "devstack-passwords.json"
    if not path.exists():
        return {}
    found = read_json(path).get("passwords")
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InfrastructureError(f"{path} is damaged.", next_step="run ci-install-driver again.")
    return {str(name): str(value) for name, value in found.items()}


def to_mask(context: GateContext) -> tuple[str, ...]:
    """Everything that must not be published, in each form in which DevStack may write it, longest first."""
    known = {*values_to_mask(context.settings, context.secret_values), *read_passwords(context).values()}
    forms = known | {form for value in known for form in as_written(value)}
    return tuple(sorted(filter(None, forms), key=lambda form: (-len(form), form)))
