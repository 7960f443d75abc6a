"""Join the parts that take posts to decisions: from settings and a release to an examiner.

The worker and ``moderator decide`` build the same thing here. Knows nothing of Kafka or of what
is examined. Imports torch only while it builds, after the decode processes have been started.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from models.release import Release
from moderator.decide import Actions
from moderator.decisions import Provenance
from moderator.decoding import sandbox
from moderator.decoding.decoders import DecodeLimits, DecodePool
from moderator.errors import BadSettings
from moderator.held import Held
from moderator.settings import Judging, Limits, Settings
from moderator.slots import SlotArena

if TYPE_CHECKING:
    from moderator.caching.cached import EmbeddingCache
    from moderator.embedder import Embedder
    from moderator.examine import Examiner, ImageFetcher
    from moderator.match import Matcher
    from moderator.shedding import Load

CPU_CHUNK = 8
"""Images of one forward pass on a CPU: more are no faster, and their activations take memory."""

GPU_THREADS = 2
"""Threads that feed a GPU: one stacks pixels while the other's pass runs."""

SPARE_BATCHES = 2
"""Batches that hold slots beside those in flight: one being opened, one being given back."""

SPARE_SECONDS = 0.25
"""Seconds that a batch waits beyond the time of a fetch, for the cause of one that fails."""


@dataclass(frozen=True, eq=False)
class Decoding:
    """What decodes for one input: slots of its sizes, and processes that write into them."""

    arena: SlotArena
    pool: DecodePool


@dataclass(frozen=True, eq=False)
class Embedding:
    """One network: what embeds frames, and what is kept of pictures embedded before."""

    embedder: "Embedder"
    cache: "EmbeddingCache"


@dataclass(frozen=True, eq=False)
class Parts:
    """What examines posts, joined; ``close`` stops threads and processes and frees the memory.

    What two releases have in common, they share; it is closed with the last that uses it.
    """

    release: Release
    matcher: "Matcher"
    examiner: "Examiner"
    fetching: "Held[ImageFetcher]"
    decoding: Held[Decoding]
    embedding: Held[Embedding]
    load: "Load | None"

    @property
    def arena(self) -> SlotArena:
        """Slots for decoded frames."""
        return self.decoding.value.arena

    @property
    def pool(self) -> DecodePool:
        """The decode processes."""
        return self.decoding.value.pool

    @property
    def embedder(self) -> "Embedder":
        """The network."""
        return self.embedding.value.embedder

    @property
    def fetcher(self) -> "ImageFetcher":
        """Fetches images by reference."""
        return self.fetching.value

    @property
    def cache(self) -> "EmbeddingCache":
        """Embeddings of pictures seen before."""
        return self.embedding.value.cache

    def close(self) -> None:
        """Stop everything, the last part first; nothing may be in flight any more."""
        self.embedding.close()
        self.fetching.close()
        self.decoding.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def build(
    settings: Settings,
    release: Release,
    *,
    fetcher: "ImageFetcher | None" = None,
    beside: Parts | None = None,
    nice: int = 0,
) -> Parts:
    """Build everything between a parsed post and its decision.

    Args:
        settings: Limits, processes, device, cache and the operator's choices.
        release: What to serve.
        fetcher: Fetches images by reference; None: as the settings say.
        beside: Parts of another release that go on; what does not depend on the release is
            shared with them: the fetcher, decoding where the inputs are equal, and the network
            with its cache where that is the same.
        nice: How much a process of the network gives way to others, 0..19.

    Raises:
        BadRelease: The network fails its self-test on the device.
        BadNetwork: There is no such device.
        BadSettings: A host, store or URL that the settings name is none.
        Unavailable: The embedder process ended before it was ready.
    """
    with ExitStack() as stack:
        # Decoding first: its processes start while torch, seconds of work, is imported here.
        decoding = _decoding(settings, release, beside)
        stack.callback(decoding.close)
        fetching = beside.fetching.share() if beside else _fetching(settings, fetcher)
        stack.callback(fetching.close)
        embedding = _embedding(settings, release, decoding.value.arena, beside, nice)
        stack.callback(embedding.close)
        # How late posts are does not depend on the release, so neither does what is left out.
        load = beside.load if beside else _load(settings)
        parts = _joined(settings, release, fetching, decoding, embedding, load=load)
        stack.pop_all()
        return parts


def _joined(
    settings: Settings,
    release: Release,
    fetching: "Held[ImageFetcher]",
    decoding: Held[Decoding],
    embedding: Held[Embedding],
    *,
    load: "Load | None",
) -> Parts:
    from moderator.canary_watch import CanaryWatch
    from moderator.examine import Examiner
    from moderator.match import Matcher

    matcher = Matcher(release)
    examiner = Examiner(
        fetcher=fetching.value,
        cache=embedding.value.cache,
        pool=decoding.value.pool,
        embedder=embedding.value.embedder,
        matcher=matcher,
        policy=release.policy,
        provenance=Provenance(release.id, release.network_digest, release.policy.version, 0),
        actions=actions(settings.judging),
        canaries=CanaryWatch(settings.canaries),
        max_frames=settings.limits.max_frames,
        load=load,
        keep_data=settings.evidence.evidence_url is not None,
        fetch_budget=settings.fetch.fetch_timeout + SPARE_SECONDS,
        decode_budget=settings.limits.post_decode_timeout,
        head=release.head,
    )
    return Parts(release, matcher, examiner, fetching, decoding, embedding, load)


def _load(settings: Settings) -> "Load | None":
    from moderator.shedding import load_of

    return load_of(settings.overload) if settings.overload.age_objective else None


def _decoding(settings: Settings, release: Release, beside: Parts | None) -> Held[Decoding]:
    if beside is not None and beside.release.spec.input == release.spec.input:
        return beside.decoding.share()
    with ExitStack() as stack:
        arena = arena_for(settings, release)
        stack.callback(arena.close)
        pool = DecodePool(
            arena,
            release.spec.input,
            processes=settings.pipeline.decode_processes,
            limits=decode_limits(settings.limits),
        )
        stack.callback(pool.close)
        return Held(Decoding(arena, pool), stack.pop_all().close)


def _embedding(
    settings: Settings, release: Release, arena: SlotArena, beside: Parts | None, nice: int
) -> Held[Embedding]:
    from moderator.caching.cache import open_cache

    if beside is not None and same_embeddings(beside.release, release):
        return beside.embedding.share()
    with ExitStack() as stack:
        embedder = _embedder(settings, release, arena, nice)
        stack.callback(embedder.close)
        cache = open_cache(
            settings.cache,
            release.rows_digest,
            release.index.dimension,
            settings.limits.max_frames,
            {size: 1 + len(boxes) for size, boxes in embedder.boxes.items()},
            classes=release.classes,
        )
        stack.callback(cache.close)
        return Held(Embedding(embedder, cache), stack.pop_all().close)


def same_embeddings(one: Release, other: Release) -> bool:
    """Whether two releases ask for the same of the same network, so that they can share it."""
    return one.rows_digest == other.rows_digest and judges_regions(one) == judges_regions(other)


def judges_regions(release: Release) -> bool:
    """Whether a release judges regions of pictures as well as the whole."""
    return release.policy.region_margin is not None


def _fetching(settings: Settings, fetcher: "ImageFetcher | None") -> "Held[ImageFetcher]":
    if fetcher is not None:
        # Whoever gave it closes it.
        return Held(fetcher, lambda: None)
    from moderator.fetching.fetch import Fetcher

    made = Fetcher(settings.fetch, settings.limits.max_post_bytes)
    return Held(made, made.close)


def arena_for(settings: Settings, release: Release) -> SlotArena:
    """Return slots for every image that can be on its way; memory is used only where written."""
    return SlotArena.for_frames(slots_for(settings), release.spec.input, settings.limits.max_frames)


def slots_for(settings: Settings) -> int:
    """Return how many images can be on their way."""
    batch = max(settings.pipeline.max_batch, settings.limits.max_images_per_post)
    return (settings.pipeline.batches_in_flight + SPARE_BATCHES) * batch


def actions(judging: Judging) -> Actions:
    """Return the operator's choices as deciding takes them."""
    return Actions(
        undecodable=judging.on_undecodable,
        unreachable=judging.on_unreachable,
        malformed=judging.on_malformed,
        near_miss=judging.on_near_miss,
        max_types=judging.max_types,
        max_evidence=judging.max_evidence,
    )


def decode_limits(limits: Limits) -> DecodeLimits:
    """Return what an image may take, as decoding takes it.

    Raises:
        BadSettings: The kernel does not confine decode processes, which is required.
    """
    reason = sandbox.refusal() if limits.decode_sandbox == "required" else None
    if reason is not None:
        raise BadSettings(
            f"decode_sandbox is required but {reason}; permit seccomp, or set it to preferred"
        )
    return DecodeLimits(
        max_pixels=limits.max_image_pixels,
        max_frames=limits.max_frames,
        timeout=limits.decode_timeout,
        memory=limits.decode_memory,
        sandbox=limits.decode_sandbox,
    )


def _embedder(settings: Settings, release: Release, arena: SlotArena, nice: int) -> "Embedder":
    """Return the network behind its seam, in this process or in one of its own."""
    from models.device import resolve_device, set_threads
    from moderator.embedder import InProcessEmbedder
    from moderator.embedder_process import ProcessEmbedder, Serving

    pipeline = settings.pipeline
    device = resolve_device(pipeline.device)
    on_cpu = device.type == "cpu"
    threads = pipeline.embed_threads if on_cpu else GPU_THREADS
    chunk = min(CPU_CHUNK, pipeline.max_batch) if on_cpu else pipeline.max_batch
    regions = judges_regions(release)
    if pipeline.embedder == "process":
        serving = Serving(
            release.path, release.rows_digest, str(device), threads, chunk, regions, nice
        )
        return ProcessEmbedder(serving, arena)
    if on_cpu:
        # Chunks run side by side, each on one thread; threads within an operation would compete.
        set_threads(1)
    network = release.load_network(device)
    return InProcessEmbedder(network, arena, threads=threads, chunk=chunk, regions=regions)
