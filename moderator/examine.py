"""Take posts from their images to decisions: fetch, cache, decode, embed, match, decide.

Each step is a method of ``Examiner`` that the worker runs on a thread of its own, so that the
steps of successive batches overlap, and that ``moderator decide`` runs one after the other.
Knows nothing of Kafka.
"""

import math
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from models.head import Head
from models.index import Neighbours
from models.policy import Policy
from models.scoring import Scorer
from moderator.batch import Batch, Picture, Seen
from moderator.caching.cached import Cached, EmbeddingCache
from moderator.canary import checked
from moderator.canary_watch import CanaryWatch
from moderator.decide import (
    Actions,
    ImageDecision,
    PostDecision,
    decide_image,
    decide_in_part,
    decide_post,
    unjudged,
)
from moderator.decisions import SHED, Decided, DecidedImage, Provenance, Shed
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoder import Budget
from moderator.decoding.decoders import Decoded, DecodePool
from moderator.decoding.view import Layout
from moderator.embedder import Embedder, Frame
from moderator.errors import Unavailable
from moderator.fetching.fetch import Unreachable
from moderator.match import Matcher, Served
from moderator.overload import Level
from moderator.records import Post, PostImage, digest
from moderator.rows import Rows
from moderator.rules import neighbours_for
from moderator.shedding import Load
from moderator.watchdog import progress

PIECE = 128
"""Frames that the network is given at a time, about: how far its progress is seen."""

STAGE_SECONDS = Histogram(
    "moderator_stage_seconds",
    "Seconds that a batch spends in a stage.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BATCH_IMAGES = Histogram(
    "moderator_batch_images",
    "Images of a batch.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
DECODE_FAILURES = Counter(
    "moderator_decode_failures_total", "Images that could not be decoded, by cause.", ["cause"]
)
FETCH_FAILURES = Counter(
    "moderator_fetch_failures_total", "Images that could not be fetched, by cause.", ["cause"]
)
BEYOND_REACH = Counter(
    "moderator_animations_beyond_reach_total",
    "Images decoded that have further frames than decoding may reach.",
)
IMAGES = Counter("moderator_images_total", "Images examined, by where from.", ["origin"])


SECRET = os.urandom(32)
"""What the choice among frames depends on, besides the picture."""


class ImageFetcher(Protocol):
    """The part of a fetcher that examining uses."""

    def fetch(self, url: str) -> Future[bytes]:
        """Begin to fetch; the future raises ``Unreachable``."""
        ...


class Examiner:
    """Takes batches of posts to decisions, a step at a time, in the order of the steps.

    The steps of one batch must be called one after the other; those of different batches may
    overlap, each step seeing the batches in one order.

    Args:
        fetcher: Fetches images by reference.
        cache: Embeddings of pictures seen before, of this network.
        pool: Decodes images into slots of shared memory.
        embedder: The network.
        matcher: The prototypes served.
        policy: Thresholds of the release.
        provenance: Ids of release, network and policy.
        actions: The operator's choices.
        max_frames: Frames judged of an animation.
        load: Says what is left out because posts are late; None: nothing ever.
        keep_data: Keep pictures' bytes until ``take_data``.
        fetch_budget: Seconds that a batch waits for its images by reference once its turn has
            come; what is not there by then is unreachable for now. None: without limit.
        decode_budget: Seconds that the images of a post may take to decode together; afterwards
            each still has ``LEAST_TIME``.
        canaries: Tells canaries from posts.
        head: Of the release; its logits lie in each row behind the embedding.
    """

    def __init__(
        self,
        *,
        fetcher: ImageFetcher,
        cache: EmbeddingCache,
        pool: DecodePool,
        embedder: Embedder,
        matcher: Matcher,
        policy: Policy,
        provenance: Provenance,
        actions: Actions,
        canaries: CanaryWatch,
        max_frames: int,
        load: Load | None = None,
        keep_data: bool = False,
        fetch_budget: float | None = None,
        decode_budget: float = math.inf,
        head: Head | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._pool = pool
        self._embedder = embedder
        self._rows = Rows(embedder.boxes)
        self._bare = Rows({})
        self._matcher = matcher
        self._policy = policy
        self._provenance = provenance
        self._actions = actions
        self._fetch_budget = fetch_budget
        self._decode_budget = decode_budget
        self._max_frames = max_frames
        self._load = load
        self._keep_data = keep_data
        self._canaries = canaries
        self._dimension = matcher.served.index.dimension
        self._width = self._dimension + (len(head) if head else 0)
        self._scorer = Scorer(head, policy.head) if head and policy.head else None

    def open(self, posts: Sequence[Post]) -> Batch:
        """Begin a batch: fetching of images by reference starts, nothing is waited for.

        What is left out of it is settled here, so that all of a batch is judged alike.
        """
        pictures = [[self._picture(image) for image in post.images] for post in posts]
        level = Level.WHOLE
        if self._load:
            level = self._load.begun(_judged(posts), time.time() * 1000)
        batch = Batch(posts, pictures, time.monotonic(), level)
        if self._keep_data:
            batch.hold()
        for post in posts:
            expected = self._canaries.expected(post.record)
            if expected is not None:
                batch.canaries[post.decision_id] = expected
        BATCH_IMAGES.observe(sum(map(len, pictures)))
        return batch

    def prepare(self, batch: Batch) -> None:
        """Wait for what is fetched, look up the cache, and start to decode the rest."""
        with _stage(batch, "fetch"):
            # Those behind this batch are being fetched meanwhile, and wait no second time.
            deadline = time.monotonic() + (self._fetch_budget or math.inf)
            for picture in batch.each():
                _take_fetched(picture, deadline)
        with _stage(batch, "cache"):
            for pictures in batch.pictures:
                self._recognise(batch, pictures)
            self._take_cached(batch)
        # Decoding is started for whole batches in their order: a later batch that held the last
        # slots while an earlier one still waited for some would stop both for ever.
        for picture in batch.each():
            seen = picture.seen
            if picture.data is None or seen is None:
                continue
            if seen.decoding is None and seen.embeddings is None:
                frames = self._max_frames if batch.level.frames else 1
                seen.decoding = self._pool.submit(
                    picture.data, frames=frames, seed=_seed(seen.digest), budgets=seen.budgets
                )
            if not batch.holders:
                picture.data = None

    def embed(self, batch: Batch) -> None:
        """Wait until everything is decoded and hand the frames to the network."""
        self.submit(batch, self.collect(batch))

    def collect(self, batch: Batch) -> list[Frame]:
        """Wait until everything is decoded and return the frames that the network is to have."""
        frames: list[Frame] = []
        rows = 0
        with _stage(batch, "decode"):
            for seen in batch.seen.values():
                if seen.decoding is not None:
                    taken = self._take_decoded(batch, seen, seen.decoding)
                    progress()
                    count = sum(self._rows_of(seen).counts(seen.layout)) if seen.layout else 0
                    seen.rows = slice(rows, rows + count)
                    rows += count
                    frames.extend(taken)
        return frames

    def submit(self, batch: Batch, frames: Sequence[Frame]) -> None:
        """Hand the frames of a batch to the network; their slots are given back after it."""
        batch.embedding = []
        pieces = deque(_pieces(frames))
        while pieces:
            try:
                embedding = self._embedder.submit(pieces[0], regions=batch.level.regions)
            except Unavailable:
                self._release([frame for piece in pieces for frame in piece])
                raise
            embedding.add_done_callback(partial(self._release, pieces.popleft()))
            batch.embedding.append(embedding)

    def judge(self, batch: Batch) -> list[Decided]:
        """Wait for the embeddings, remember them, match them and decide every post.

        Raises:
            Unavailable: The network cannot be had any more.
        """
        with _stage(batch, "embed"):
            self._take_embedded(batch)
        with _stage(batch, "match"):
            served = self._matcher.served
            neighbours = self._query(served, batch)
        now = time.time() * 1000
        provenance = Provenance(
            self._provenance.release,
            self._provenance.network,
            self._provenance.policy,
            served.overlay,
        )
        seconds = {**batch.seconds, "total": time.monotonic() - batch.opened}
        decided = []
        for post, pictures in zip(batch.posts, batch.pictures, strict=True):
            images = tuple(self._image(picture, served, neighbours) for picture in pictures)
            decision = self._post(post, [image.decision for image in images])
            expected = batch.canaries.get(post.decision_id)
            canary = None if expected is None else checked(expected, decision)
            found = Decided(
                post,
                decision,
                images,
                provenance,
                now,
                seconds,
                shed=_shed(pictures),
                canary=canary,
            )
            decided.append(found)
        if self._load and batch.measured:
            self._load.judged(_judged(batch.posts), batch.level, now)
        return decided

    def take_data(self, batch: Batch) -> dict[str, bytes]:
        """Return the bytes of a batch's pictures by content digest; once, where they are kept."""
        found = {
            picture.seen.digest: picture.data
            for picture in batch.each()
            if picture.seen is not None and picture.data is not None
        }
        if self._keep_data:
            batch.let_go()
        return found

    def drop(self, batch: Batch) -> None:
        """Give back what a batch holds that will not be judged; any step may have been reached."""
        for picture in batch.each():
            if picture.fetching is not None:
                picture.fetching.cancel()
        for seen in batch.seen.values():
            if batch.embedding is None and seen.decoding is not None:
                seen.decoding.add_done_callback(self._release_decoded)

    def _picture(self, image: PostImage) -> Picture:
        if image.fault is not None:
            return Picture(image, fault=("malformed", image.fault))
        if image.url is not None:
            IMAGES.labels("reference").inc()
            return Picture(image, fetching=self._fetcher.fetch(image.url))
        IMAGES.labels("inline").inc()
        return Picture(image, data=image.data)

    def _recognise(self, batch: Batch, pictures: Sequence[Picture]) -> None:
        """Find out which pictures of a post are the same, and give it the time to decode them."""
        budget = Budget(self._decode_budget)
        for picture in pictures:
            if picture.data is None:
                continue
            name = digest(picture.data)
            picture.seen = batch.seen.setdefault(name, Seen(name))
            if budget not in picture.seen.budgets:
                picture.seen.budgets.append(budget)

    def _take_cached(self, batch: Batch) -> None:
        if not batch.seen:
            return
        # A canary is there to try all the parts, so that nothing of it comes from the cache.
        fresh = batch.of_canaries()
        wanted = [name for name in batch.seen if name not in fresh]
        for name, cached in self._cache.get_many(wanted).items():
            if not self._rows.fit(cached) or cached.embeddings.shape[1] != self._width:
                continue
            seen = batch.seen[name]
            seen.cached, seen.embeddings, seen.layout = True, cached.embeddings, cached.layout

    def _rows_of(self, seen: Seen) -> Rows:
        """Return the rows that a picture has; what the cache gave has them all."""
        return self._bare if "regions" in seen.shed else self._rows

    def _take_decoded(self, batch: Batch, seen: Seen, decoding: Future[Decoded]) -> list[Frame]:
        try:
            decoded = decoding.result()
        except Undecodable as error:
            DECODE_FAILURES.labels(error.cause).inc(batch.measured)
            seen.fault = ("undecodable", error.cause)
            return []
        seen.layout = decoded.layout
        BEYOND_REACH.inc(batch.measured and decoded.layout.beyond)
        seen.shed = self._left_out(batch.level, decoded.layout)
        sizes = enumerate(decoded.layout.sizes)
        return [Frame(decoded.slot, number, *size) for number, size in sizes]

    def _left_out(self, level: Level, layout: Layout) -> tuple[Shed, ...]:
        """Return what would have been judged of a picture at the lowest level, and is not."""
        fewer = layout.frames < min(layout.reach, self._max_frames)
        there: dict[Shed, bool] = {
            "regions": not level.regions and bool(self._embedder.boxes),
            "frames": not level.frames and fewer,
        }
        return tuple(name for name, left_out in there.items() if left_out)

    def _release(self, frames: Sequence[Frame], _: object = None) -> None:
        for slot in {frame.slot for frame in frames}:
            self._pool.release(slot)

    def _release_decoded(self, decoding: Future[Decoded]) -> None:
        if not decoding.cancelled() and decoding.exception() is None:
            self._pool.release(decoding.result().slot)

    def _take_embedded(self, batch: Batch) -> None:
        if not batch.embedding:
            return
        pieces = []
        for embedding in batch.embedding:
            # Rounded as the cache rounds: a picture is judged alike whether it was cached or not.
            pieces.append(embedding.result().astype(np.float16))
            progress()
        embeddings = np.concatenate(pieces)
        fresh = {}
        for seen in batch.seen.values():
            if seen.layout is not None and seen.rows.stop > seen.rows.start:
                seen.embeddings = embeddings[seen.rows]
                if seen.shed:
                    # Others would take it for all that there is to know of the picture.
                    continue
                fresh[seen.digest] = Cached(seen.embeddings, seen.layout)
        self._cache.put_many(fresh)

    def _query(self, served: Served, batch: Batch) -> Mapping[str, list[Neighbours]]:
        embedded = [seen for seen in batch.seen.values() if seen.embeddings is not None]
        if not embedded:
            return {}
        rows = np.concatenate([s.embeddings for s in embedded if s.embeddings is not None])
        embeddings = rows[:, : self._dimension].astype(np.float32)
        found = iter(neighbours_for(self._policy, served.index, embeddings))
        return {
            seen.digest: [next(found) for _ in seen.embeddings]
            for seen in embedded
            if seen.embeddings is not None
        }

    def _scores(
        self, rows: NDArray[np.float16], neighbours: Sequence[Neighbours]
    ) -> Sequence[Mapping[str, float]] | None:
        """Return the scores of each type for rows, None where no head is judged by."""
        if self._scorer is None:
            return None
        logits = rows[:, self._dimension :].astype(np.float32)
        return self._scorer.scores(logits, neighbours)

    def _image(
        self, picture: Picture, served: Served, neighbours: Mapping[str, list[Neighbours]]
    ) -> DecidedImage:
        image_id, seen = picture.image.image_id, picture.seen
        fault = picture.fault or (seen.fault if seen else None)
        if fault is not None or seen is None or seen.embeddings is None or seen.layout is None:
            reason, cause = fault or ("undecodable", "corrupt")
            decision = unjudged(reason, cause, self._actions)
            return DecidedImage(image_id, decision, seen.digest if seen else None)
        decision = decide_image(
            neighbours[seen.digest],
            self._policy,
            served.types,
            self._actions,
            served.overrides.get(seen.digest),
            rows=self._rows_of(seen).counts(seen.layout),
            parts=[view.box is not None for view in seen.layout.views],
            scores=self._scores(seen.embeddings, neighbours[seen.digest]),
        )
        rows, layout = self._rows_of(seen), seen.layout
        if layout.beyond:
            decision = decide_in_part(decision, self._actions)
        if decision.view is None:
            return DecidedImage(image_id, decision, seen.digest, layout, seen.cached)
        view, region = decision.view, decision.region
        # An override speaks of the whole picture, whatever part of it is the worst.
        whole = decision.reason == "override"
        return DecidedImage(
            image_id,
            decision,
            digest=seen.digest,
            layout=layout,
            cached=seen.cached,
            embedding=seen.embeddings[rows.place(layout, view, region), : self._dimension],
            box=None if whole else rows.box(layout, view, region),
        )

    def _post(self, post: Post, images: Sequence[ImageDecision]) -> PostDecision:
        if post.deleted:
            return PostDecision("pass", "deleted")
        if post.fault is not None:
            return PostDecision(self._actions.malformed, "malformed", cause=post.fault)
        return decide_post(images, self._actions.max_types)


def _pieces(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """Yield frames ``PIECE`` at a time, or some more so that those of a slot stay together."""
    begin = 0
    for end in range(1, len(frames) + 1):
        last = end == len(frames)
        if last or (end - begin >= PIECE and frames[end].slot != frames[end - 1].slot):
            yield frames[begin:end]
            begin = end


def _seed(content: str) -> int:
    """Return what chooses among the frames of a picture: alike for all releases, known to nobody.

    Else a shadow would differ from the active release by chance.
    """
    return int.from_bytes(blake2b(content.encode(), key=SECRET, digest_size=8).digest())


def _judged(posts: Sequence[Post]) -> list[Post]:
    """Return the posts that are judged: not the deletions that come round."""
    return [post for post in posts if not post.again]


def _shed(pictures: Sequence[Picture]) -> tuple[Shed, ...]:
    """Return what was left out of any picture of a post."""
    left_out = {name for picture in pictures if picture.seen for name in picture.seen.shed}
    return tuple(name for name in SHED if name in left_out)


def _take_fetched(picture: Picture, deadline: float) -> None:
    if picture.fetching is None:
        return
    left = None if math.isinf(deadline) else max(0.0, deadline - time.monotonic())
    try:
        picture.data = picture.fetching.result(left)
    except FutureTimeoutError:
        # What has not begun waits for others: that is no fault of its host.
        cause = "timeout" if picture.fetching.running() else "busy"
        picture.fetching.cancel()
        # Nor is what comes of it later to be kept for as long as the batch.
        picture.fetching = None
        FETCH_FAILURES.labels(cause).inc()
        picture.fault = ("unreachable", cause)
    except Unreachable as error:
        FETCH_FAILURES.labels(error.cause).inc()
        picture.fault = ("unreachable", error.cause)


@contextmanager
def _stage(batch: Batch, name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    batch.seconds[name] = time.monotonic() - begin
    if batch.measured:
        STAGE_SECONDS.labels(name).observe(batch.seconds[name])
