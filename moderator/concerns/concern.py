"""A set of settings that belong together; knows none of them."""

from typing import Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from moderator.errors import BadSettings
from moderator.secret_file import read_secret


class Concern(BaseModel):
    """Settings that belong together; immutable, and nothing but what is declared.

    A secret ``name`` has a sibling ``name_file``, a file that holds it instead.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object, info: ValidationInfo) -> object:
        """Take an empty text as None where that is allowed: no environment nor TOML has one."""
        field = cls.model_fields[info.field_name or ""]
        return None if value == "" and type(None) in get_args(field.annotation) else value

    @model_validator(mode="after")
    def _secrets_given_once(self) -> Self:
        for name, field in type(self).model_fields.items():
            secret = SecretStr in get_args(field.annotation)
            if secret and None not in (getattr(self, name), getattr(self, f"{name}_file")):
                raise ValueError(f"{name} and {name}_file are both set; set one of them")
        return self

    def secret(self, name: str) -> str | None:
        """Return a secret as it is now, None where it is not set.

        A file is read anew, so that one that was rotated is known from the next connection on.

        Raises:
            BadSettings: The file is not there any more, or cannot be read, or is empty.
        """
        given: SecretStr | None = getattr(self, name)
        path = getattr(self, f"{name}_file")
        if path is None:
            return given.get_secret_value() if given else None
        try:
            return read_secret(path)
        except ValueError as error:
            raise BadSettings(f"{name}_file: {error}") from None

    def has(self, name: str) -> bool:
        """Return whether a secret is set, itself or as a file."""
        return getattr(self, name) is not None or getattr(self, f"{name}_file") is not None
