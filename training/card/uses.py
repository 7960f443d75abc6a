"""What a release is for, what it is not, and what its use does to people. Text without figures."""

from collections.abc import Iterator

from training.card.markdown import bullets

INTENDED = (
    "Finding photographs in posts that may show a firearm, so that a person who moderates a "
    "platform sees them first; and, with a decision, similar photographs that are known already.",
    "Naming a likely type or family as a hint for that person.",
    "Research on retrieval of firearms in photographs, and training of a better network with the "
    "same commands.",
)

NOT_FOR = (
    "**Punishment without a person's review**: removing posts, suspending or reporting accounts on "
    "its word alone. A flag says that a picture resembles others; it does not say what is meant by "
    "it. News, museums, sport, hunting, film, games and toys show firearms lawfully.",
    "**Identifying or describing people**, or guessing who owns, holds or uses a firearm. It has "
    "learnt nothing of persons, and must not be made to.",
    "**Law enforcement, surveillance and targeting**: watch lists, predictions about people or "
    "places, alarms of cameras, weapons, or any live system on which somebody's safety or liberty "
    "depends.",
    "**Deciding whether a firearm is real, legal, loaded, working or about to be used.** Replicas, "
    "airsoft and deactivated ones look the same, and most of what matters is not in the picture.",
    "**Evidence in court**, expert reports, or identification of a make or model that anybody "
    "relies on; a type's label is a resemblance.",
    "**Clearing a picture**: that nothing was flagged does not show that there is no firearm. "
    "Small, half hidden, unusual or new ones are missed; see below.",
    "**What is not a photograph**: drawings, games, renderings, generated pictures, X-ray and "
    "thermal pictures, text. None of it was tested. Parts, ammunition, knives and other "
    "weapons are no firearms here.",
    "**Screening children's pictures, jobs, travel or insurance**, or any purpose for which those "
    "who are pictured could not object.",
)

ETHICS = (
    "**Who bears the errors.** False flags fall on those who post tools, toys, sport, film and "
    "everyday scenes; misses fall on those whom moderation should protect. Both rates differ "
    "much from source to source, so measure them on photographs of your platform, "
    "and choose the threshold there (`python -m training calibrate`).",
    "**People.** Photographs with people were used, with firearms and without. Errors were not "
    "measured by skin colour, age, gender, country or disability, as no such labels exist; that "
    "they are even must not be assumed. If flagged people and places are unlike those not flagged, "
    "the network may have learnt the scene and not the thing.",
    "**Reviewers** should see the picture, the reason and the nearest known ones, and must be free "
    "to disagree; people who post need a way to appeal. Scores are probabilities for one share of "
    "firearms among posts, which that of a platform seldom is.",
    "**Evasion.** Whoever knows the network can make pictures that it does not flag, and pictures "
    "that it flags wrongly. It was not hardened against that.",
    "**Privacy.** Prototypes are embeddings. Embeddings can give away what a picture shows, so "
    "keep those of posts no longer than you need them.",
)


def uses() -> Iterator[str]:
    """Yield the lines on what the release is for and what it must not be used for."""
    yield "## Intended use"
    yield from bullets(INTENDED)
    yield (
        "Its users are platforms that moderate what is posted to them, and engineers and "
        "researchers who work on that."
    )
    yield "### What it must not be used for"
    yield from bullets(NOT_FOR)


def ethics() -> Iterator[str]:
    """Yield the lines on ethical considerations."""
    yield "## Ethical considerations"
    yield from bullets(ETHICS)
