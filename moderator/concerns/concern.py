"""A set of settings that belong together; knows none of them."""

from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Concern(BaseModel):
    """Settings that belong together; immutable, and nothing but what is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object, info: ValidationInfo) -> object:
        """Take an empty text as None where that is allowed: no environment nor TOML has one."""
        field = cls.model_fields[info.field_name or ""]
        return None if value == "" and type(None) in get_args(field.annotation) else value
