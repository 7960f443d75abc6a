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
from moderator.settings import Judging, Limits, Settings
from moderator.slots import CHANNELS, SlotArena

if TYPE_CHECKING:
    from moderator.caching.cached import EmbeddingCache
    from moderator.embedder import Embedder
    from moderator.examine import Examiner, ImageFetcher
    from moderator.match import Matcher

CPU_CHUNK = 8
"""Images of one forward pass on a CPU: more are no faster, and their activations take memory."""

GPU_THREADS = 2
"""Threads that feed a GPU: one stacks pixels while the other's pass runs."""

SPARE_BATCHES = 2
"""Batches that hold slots beside those in flight: one being opened, one being given back."""

SPARE_SECONDS = 0.25
"""Seconds that a batch waits beyond the time of a fetch, for the cause of one that fails."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What examines posts, joined; ``close`` stops threads and processes and frees the memory."""

    release: Release
    arena: SlotArena
    pool: DecodePool
    embedder: "Embedder"
    fetcher: "ImageFetcher"
    cache: "EmbeddingCache"
    matcher: "Matcher"
    examiner: "Examiner"
    _stack: ExitStack

    def close(self) -> None:
        """Stop everything, the last part first; nothing may be in flight any more."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def build(settings: Settings, release: Release, *, fetcher: "ImageFetcher | None" = None) -> Parts:
    """Build everything between a parsed post and its decision.

    Args:
        settings: Limits, processes, device, cache and the operator's choices.
        release: What to serve.
        fetcher: Fetches images by reference; None: as the settings say.

    Raises:
        BadRelease: The network fails its self-test on the device.
        BadNetwork: There is no such device.
        BadSettings: A host, store or URL that the settings name is none.
        Unavailable: The embedder process ended before it was ready.
    """
    with ExitStack() as stack:
        arena = arena_for(settings, release)
        stack.callback(arena.close)
        # The pool first: its processes start while torch, seconds of work, is imported here.
        pool = DecodePool(
            arena,
            release.spec.input,
            processes=settings.pipeline.decode_processes,
            limits=decode_limits(settings.limits),
        )
        stack.callback(pool.close)
        fetcher = fetcher or _fetcher(settings, stack)
        return _joined(settings, release, arena, pool, fetcher=fetcher, stack=stack)


def _joined(
    settings: Settings,
    release: Release,
    arena: SlotArena,
    pool: DecodePool,
    *,
    fetcher: "ImageFetcher",
    stack: ExitStack,
) -> Parts:
    """Build the parts that need torch or the network around those that do not."""
    from moderator.caching.cache import open_cache
    from moderator.canary_watch import CanaryWatch
    from moderator.examine import Examiner
    from moderator.match import Matcher
    from moderator.shedding import load_of

    embedder = _embedder(settings, release, arena)
    stack.callback(embedder.close)
    dimension = release.index.dimension
    cache = open_cache(
        settings.cache,
        release.network_digest,
        dimension,
        settings.limits.max_frames,
        {size: 1 + len(boxes) for size, boxes in embedder.boxes.items()},
    )
    stack.callback(cache.close)
    matcher = Matcher(release)
    load = load_of(settings.overload) if settings.overload.age_objective else None
    examiner = Examiner(
        fetcher=fetcher,
        cache=cache,
        pool=pool,
        embedder=embedder,
        matcher=matcher,
        policy=release.policy,
        provenance=Provenance(release.id, release.network_digest, release.policy.version, 0),
        actions=actions(settings.judging),
        fetch_budget=settings.fetch.fetch_timeout + SPARE_SECONDS,
        max_frames=settings.limits.max_frames,
        load=load,
        keep_data=settings.evidence.evidence_url is not None,
        canaries=CanaryWatch(settings.canaries),
    )
    return Parts(release, arena, pool, embedder, fetcher, cache, matcher, examiner, stack.pop_all())


def _fetcher(settings: Settings, stack: ExitStack) -> "ImageFetcher":
    from moderator.fetching.fetch import Fetcher

    fetcher = Fetcher(settings.fetch, settings.limits.max_post_bytes)
    stack.callback(fetcher.close)
    return fetcher


def arena_for(settings: Settings, release: Release) -> SlotArena:
    """Return slots for every image that can be on its way; memory is used only where written."""
    batch = max(settings.pipeline.max_batch, settings.limits.max_images_per_post)
    frames = settings.limits.max_frames
    return SlotArena(
        (settings.pipeline.batches_in_flight + SPARE_BATCHES) * batch,
        frames * release.spec.input.max_pixels * CHANNELS,
        frames=frames,
    )


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


def _embedder(settings: Settings, release: Release, arena: SlotArena) -> "Embedder":
    """Return the network behind its seam, in this process or in one of its own."""
    from models.device import resolve_device, set_threads
    from moderator.embedder import InProcessEmbedder
    from moderator.embedder_process import ProcessEmbedder, Serving

    pipeline = settings.pipeline
    device = resolve_device(pipeline.device)
    on_cpu = device.type == "cpu"
    threads = pipeline.embed_threads if on_cpu else GPU_THREADS
    chunk = min(CPU_CHUNK, pipeline.max_batch) if on_cpu else pipeline.max_batch
    regions = release.policy.region_margin is not None
    if pipeline.embedder == "process":
        serving = Serving(
            release.path, release.network_digest, str(device), threads, chunk, regions
        )
        return ProcessEmbedder(serving, arena)
    if on_cpu:
        # Chunks run side by side, each on one thread; threads within an operation would compete.
        set_threads(1)
    network = release.load_network(device)
    return InProcessEmbedder(network, arena, threads=threads, chunk=chunk, regions=regions)
