"""The base of every configuration class."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Part of the configuration: unknown keys are mistakes, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
