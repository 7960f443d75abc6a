"""All concerns together, and what of one cannot be had with what of another."""

from typing import Self

from pydantic import model_validator

from moderator.concerns.cache import Cache
from moderator.concerns.canaries import Canaries
from moderator.concerns.concern import Concern
from moderator.concerns.evidence import Evidence
from moderator.concerns.fetch import Fetch
from moderator.concerns.flood import Flood
from moderator.concerns.judging import Judging
from moderator.concerns.kafka import Kafka
from moderator.concerns.limits import Limits
from moderator.concerns.overload import Overload
from moderator.concerns.pipeline import Pipeline
from moderator.concerns.releases import Releases
from moderator.concerns.retry import Retry
from moderator.concerns.serving import Serving
from moderator.concerns.topics import Topics
from moderator.values import seconds

CONCERNS: dict[str, type[Concern]] = {
    "kafka": Kafka,
    "topics": Topics,
    "limits": Limits,
    "fetch": Fetch,
    "retry": Retry,
    "pipeline": Pipeline,
    "judging": Judging,
    "overload": Overload,
    "evidence": Evidence,
    "flood": Flood,
    "canaries": Canaries,
    "releases": Releases,
    "cache": Cache,
    "serving": Serving,
}


class Settings(Concern):
    """All settings, by concern; names are unique over all of them."""

    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    limits: Limits = Limits()
    fetch: Fetch = Fetch()
    retry: Retry = Retry()
    pipeline: Pipeline = Pipeline()
    judging: Judging = Judging()
    overload: Overload = Overload()
    evidence: Evidence = Evidence()
    flood: Flood = Flood()
    canaries: Canaries = Canaries()
    releases: Releases = Releases()
    cache: Cache = Cache()
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _an_image_is_no_stall(self) -> Self:
        # An image that costs its process is tried twice before there is an answer.
        longest = 2 * self.limits.decode_timeout
        if longest >= self.serving.stall_timeout:
            raise ValueError(
                f"stall_timeout ({self.serving.stall_timeout:g} s) must be more than twice "
                f"decode_timeout ({longest:g} s): else /livez fails while a slow image is decoded"
            )
        return self

    @model_validator(mode="after")
    def _deletions_outlive_retries(self) -> Self:
        # A post may wait twice its delays (clocks differ); its deletion must not be swept sooner.
        longest = 2 * sum(map(seconds, self.retry.retry_delays))
        if self.evidence.evidence_url is not None and self.evidence.evidence_retention < longest:
            raise ValueError(
                f"evidence_retention ({self.evidence.evidence_retention:g} s) must be at least "
                f"{longest:g} s, twice the sum of retry_delays: else a deletion is forgotten while "
                "the deleted post waits to be tried again"
            )
        return self
