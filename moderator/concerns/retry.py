"""Posts whose images could not be fetched at once."""

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Delays, Name


class Retry(Concern):
    """Posts whose images could not be fetched at once, and are tried again."""

    retry_delays: Delays = Field(
        default=("10s", "1m", "10m"),
        description="Delays before each further attempt to fetch a post's images; each is a topic "
        "of its own. Empty: the first attempt decides.",
    )
    retry_topic_prefix: Name = Field(
        default="posts.retry.",
        description="What the names of retry topics begin with; the delay follows. They belong to "
        "one group alone.",
    )
