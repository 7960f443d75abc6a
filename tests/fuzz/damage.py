"""Damage sound image files in ways that know their structure, each file from a seed and a number.

Not a test itself.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.fuzz.figures import figures
from tests.fuzz.parts import Part, inner, join, split
from tests.fuzz.sources import KINDS, sources

MAX_COPIES = 400
MAX_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Damaged:
    """A damaged file, which ``damaged(seed, number)`` makes again."""

    seed: int
    number: int
    kind: str
    data: bytes

    @property
    def name(self) -> str:
        """A file name that says how it is made again."""
        return f"seed-{self.seed}-file-{self.number}.{self.kind.lower()}"


def damaged(seed: int, number: int) -> Damaged:
    """Return the file of a number, the same whenever it is asked for."""
    rng = random.Random(f"{seed}/{number}")
    kind = KINDS[number % len(KINDS)]
    parts = split(kind, rng.choice(sources(kind)))
    others = split(kind, rng.choice(sources(kind)))
    for _ in range(rng.randint(0, 4)):
        parts = _changed(rng, kind, parts, others)
    data = join(kind, parts)[:MAX_BYTES]
    if rng.random() < 0.3:
        data = rng.choice(BYTEWISE)(rng, data)
    return Damaged(seed, number, kind, data)


def _changed(rng: random.Random, kind: str, parts: list[Part], others: list[Part]) -> list[Part]:
    """Change one thing, in a box within boxes where there are such."""
    at = rng.randrange(len(parts)) if parts else 0
    opened = inner(parts[at]) if kind in ("AVIF", "HEIC") and parts else None
    if opened is not None and opened[1] and rng.random() < 0.8:
        front, boxes = opened
        body = front + join(kind, _changed(rng, kind, boxes, boxes))
        return [*parts[:at], replace(parts[at], body=body), *parts[at + 1 :]]
    few = kind == "TIFF" or rng.random() < 0.6
    return _figure(rng, kind, parts) if few else rng.choice(STRUCTURAL)(rng, parts, others)


def _figure(rng: random.Random, kind: str, parts: list[Part]) -> list[Part]:
    """Set a figure of one of the parts to what nobody expects."""
    known = [(n, figures(kind, part)) for n, part in enumerate(parts)]
    known = [(n, found) for n, found in known if found]
    if not known:
        return parts
    number, found = rng.choice(known)
    figure, body = rng.choice(found), bytearray(parts[number].body)
    end = figure.at + figure.size
    value = _odd(rng, int.from_bytes(body[figure.at : end], figure.order), figure.size, len(body))
    body[figure.at : end] = value.to_bytes(figure.size, figure.order)
    return [*parts[:number], replace(parts[number], body=bytes(body)), *parts[number + 1 :]]


def _odd(rng: random.Random, value: int, size: int, length: int) -> int:
    most = 256**size - 1
    choices = (
        *(0, 1, 2, most, most - 1, most // 2, most // 2 + 1, length, length - 1),
        *(value + 1, value - 1, value * 2, value // 2, value * 1000, rng.randint(0, most)),
        *(7_999, 8_000, 16_383, 16_384, 65_535),
    )
    return rng.choice(choices) & most


def _remove(rng: random.Random, parts: list[Part], _: list[Part]) -> list[Part]:
    at = rng.randrange(len(parts)) if parts else 0
    return parts[:at] + parts[at + 1 :]


def _repeat(rng: random.Random, parts: list[Part], _: list[Part]) -> list[Part]:
    if not parts:
        return parts
    at, copies = rng.randrange(len(parts)), rng.choice((1, 2, 20, MAX_COPIES))
    copies = min(copies, 1 + MAX_BYTES // 4 // max(1, len(parts[at].body)))
    return parts[:at] + [parts[at]] * copies + parts[at:]


def _swap(rng: random.Random, parts: list[Part], _: list[Part]) -> list[Part]:
    swapped = list(parts)
    if len(parts) > 1:
        one, two = rng.sample(range(len(parts)), 2)
        swapped[one], swapped[two] = parts[two], parts[one]
    return swapped


def _splice(rng: random.Random, parts: list[Part], others: list[Part]) -> list[Part]:
    """Go on with another file's parts, or take one of them in."""
    at, from_ = rng.randint(0, len(parts)), rng.randrange(len(others)) if others else 0
    if rng.random() < 0.5:
        return parts[:at] + others[from_:]
    return parts[:at] + others[from_ : from_ + 1] + parts[at:]


def _one(change: Callable[[random.Random, Part], Part]):
    def changed(rng: random.Random, parts: list[Part], _: list[Part]) -> list[Part]:
        if not parts:
            return parts
        at = rng.randrange(len(parts))
        return [*parts[:at], change(rng, parts[at]), *parts[at + 1 :]]

    return changed


def _lie(rng: random.Random, part: Part) -> Part:
    """Tell a length that is not the true one."""
    return replace(part, claimed=_odd(rng, len(part.body), 4, len(part.body)))


def _wrong_checksum(_: random.Random, part: Part) -> Part:
    return replace(part, mended=False)


def _shorten(rng: random.Random, part: Part) -> Part:
    return replace(part, body=part.body[: rng.randint(0, len(part.body))])


def _lengthen(rng: random.Random, part: Part) -> Part:
    return replace(part, body=part.body + rng.randbytes(rng.choice((1, 7, 300, 70_000))))


def _spoil(rng: random.Random, part: Part) -> Part:
    return replace(part, body=_flip(rng, part.body))


def _flip(rng: random.Random, data: bytes) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.randint(1, 8) if flipped else 0):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _cut_out(rng: random.Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + data[at + rng.randint(1, 200) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice((b"\0", b"\xff", b"\x7f\xff\xff\xff")) * 40 + data[at:]


STRUCTURAL = (
    *(_remove, _repeat, _swap, _splice),
    *(_one(each) for each in (_lie, _wrong_checksum, _shorten, _lengthen, _spoil)),
)
BYTEWISE = (_flip, _cut, _cut_out, _insert)
