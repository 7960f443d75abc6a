"""Canaries: posts with known answers."""

from pydantic import Field, SecretStr, field_validator

from moderator.concerns.concern import Concern
from moderator.values import SecretFile

LEAST_SECRET = 16
"""Fewest characters of a secret that is worth the name."""


class Canaries(Concern):
    """Canaries: posts with known answers, which no reviewer gets to see."""

    canary_secret: SecretStr | None = Field(
        default=None,
        description="Secret that signs canaries, the same for posting and for every member; "
        f"{LEAST_SECRET} characters at least. None: no post is taken for one.",
    )

    canary_secret_file: SecretFile | None = Field(
        default=None, description="File that holds canary_secret."
    )

    @field_validator("canary_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < LEAST_SECRET:
            raise ValueError(f"it must have {LEAST_SECRET} characters at least")
        return secret
