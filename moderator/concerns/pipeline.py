"""Batching, queues, processes and the device."""

from typing import Literal

from pydantic import Field

from models.cpus import available_cpus
from moderator.concerns.concern import Concern
from moderator.values import Seconds


class Pipeline(Concern):
    """Batching, queues, processes and the device."""

    max_batch: int = Field(default=32, ge=1, le=1024, description="Images at which a batch closes.")
    max_wait: Seconds = Field(
        default=0.1, description="Seconds after its first post at which a batch closes."
    )
    batches_in_flight: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Batches between reading and publishing; then reading pauses.",
    )
    max_inflight_bytes: int = Field(
        default=64 * 2**20,
        ge=2**20,
        description="Bytes of posts read and not yet published, about; then reading pauses.",
    )
    decode_processes: int = Field(
        default_factory=lambda: min(available_cpus(), 8),
        ge=1,
        le=128,
        description="Processes that decode images.",
    )
    device: str = Field(
        default="auto",
        description="What the network runs on: auto, cpu, cuda or one such as cuda:1.",
    )
    embed_threads: int = Field(
        default_factory=available_cpus,
        ge=1,
        le=256,
        description="Threads of the forward pass on a CPU.",
    )
    embedder: Literal["in-process", "process"] = Field(
        default="in-process",
        description="Where the network runs: in-process, or in a process of its own (process).",
    )
    drain_timeout: Seconds = Field(
        default=20.0, gt=0, description="Seconds that finishing may take after SIGTERM."
    )
