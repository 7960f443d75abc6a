"""Canaries: posts with known answers."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from moderator.concerns.concern import Concern
from moderator.values import LEAST_SECRET, SecretFile


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

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        secret = self.secret("canary_secret")
        if secret is not None and len(secret) < LEAST_SECRET:
            where = "canary_secret_file" if self.canary_secret_file else "canary_secret"
            raise ValueError(f"{where}: it must have {LEAST_SECRET} characters at least")
        return self
