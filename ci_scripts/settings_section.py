"""What every section of ci.yaml has in common. Importing this is slow, as `settings_model` is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from ci_scripts.settings_types import PathHere

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Section(BaseModel):
    """A frozen section that refuses keys it does not know; an error never quotes a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class WithPassword(Section):
    """A section of the trusted side whose password (or API token) is in a file or a variable; see `credentials`."""

    password_file: PathHere | None = None
    password_environment: VariableName | None = None

    @model_validator(mode="after")
    def _one_password(self) -> WithPassword:
        if self.password_file is not None and self.password_environment is not None:
            raise ValueError("needs one of 'password_file' and 'password_environment', not both")
        return self
