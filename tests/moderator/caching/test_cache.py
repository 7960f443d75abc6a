"""Caches of embeddings, that of Redis against the real one."""

import logging
import threading
import uuid
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import REGISTRY

from moderator import settings
from moderator.caching.cache import MemoryCache, check_redis, open_cache
from moderator.caching.cached import Cached
from moderator.caching.redis_cache import RedisCache
from moderator.caching.redis_value import Shape
from moderator.errors import BadSettings, ModeratorError, Unavailable
from tests.moderator.layouts import layout, still
from tests.services.process import wait_until
from tests.services.redis import RedisService

SHAPE = Shape(dimension=32, max_frames=3)


def _cached(seed: int, frames: int = 1, dimension: int = 32) -> Cached:
    rows = np.random.default_rng(seed).normal(size=(frames, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Cached(rows.astype(np.float16), layout(640 + seed, 480, *[(64, 64)] * frames))


def _entries(count: int = 3) -> dict[str, Cached]:
    return {f"sha256:{seed:064x}": _cached(seed, 1 + seed % 3) for seed in range(count)}


def _same(found: dict[str, Cached], expected: dict[str, Cached]) -> bool:
    return found.keys() == expected.keys() and all(
        np.array_equal(found[name].embeddings, one.embeddings) and found[name].layout == one.layout
        for name, one in expected.items()
    )


def _count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Clock:
    """Time that passes when told, so that the pauses after failures need not be waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestMemoryCache:
    def test_what_was_put_is_found_and_counted(self):
        cache, entries = MemoryCache(10), _entries()
        cache.put_many(entries)
        hits, misses = (
            _count("moderator_cache_lookups_total", result=result) for result in ("hit", "miss")
        )
        assert _same(cache.get_many([*entries, "sha256:other"]), entries)
        assert _count("moderator_cache_lookups_total", result="hit") == hits + 3
        assert _count("moderator_cache_lookups_total", result="miss") == misses + 1

    def test_what_was_used_longest_ago_goes_first(self):
        cache = MemoryCache(2)
        entries = _entries(3)
        first, second, third = entries
        cache.put_many({first: entries[first], second: entries[second]})
        cache.get_many([first])
        cache.put_many({third: entries[third]})
        assert cache.get_many([first, second, third]).keys() == {first, third}

    def test_none_are_kept_where_none_are_wanted(self):
        cache = MemoryCache(0)
        cache.put_many(_entries())
        assert len(cache) == 0
        assert cache.get_many(list(_entries())) == {}

    def test_rows_of_a_batch_do_not_keep_the_batch(self):
        batch = np.tile(_cached(1).embeddings, (1000, 1))
        cache = MemoryCache(10)
        cache.put_many({"sha256:a": Cached(batch[5:6], still(10, 10))})
        batch[:] = 0
        kept = cache.get_many(["sha256:a"])["sha256:a"].embeddings
        assert kept.base is None
        assert np.array_equal(kept, _cached(1).embeddings)

    def test_embeddings_take_no_more_than_the_bytes_allowed(self):
        size = _cached(0).embeddings.nbytes
        cache = MemoryCache(100, 5 * size)
        for seed in range(20):
            cache.put_many({f"sha256:{seed}": _cached(seed, 1 + seed % 2)})
            cache.put_many({f"sha256:{seed}": _cached(seed, 1 + seed % 2)})
            kept = cache.get_many([f"sha256:{number}" for number in range(20)])
            total = sum(entry.embeddings.nbytes for entry in kept.values())
            assert f"sha256:{seed}" in kept
            assert total <= 5 * size
            # As many are kept as there is room for.
            assert total >= 4 * size or len(kept) == seed + 1
        cache.close()
        cache.put_many({"sha256:a": _cached(1, 5)})
        assert len(cache) == 1

    def test_several_threads_may_use_it(self):
        cache, entries, failures = MemoryCache(5), _entries(20), []

        def use() -> None:
            try:
                for name, entry in list(entries.items()) * 50:
                    cache.put_many({name: entry})
                    cache.get_many(list(entries))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(cache) == 5


class TestOpenCache:
    def test_without_a_url_it_is_the_process_memory(self):
        cache = open_cache(settings.Cache(cache_entries=7), "sha256:00", 32, 3)
        assert isinstance(cache, MemoryCache)

    def test_with_a_url_it_is_redis_which_need_not_be_there(self):
        given = settings.Cache(redis_url="redis://127.0.0.1:1/0")
        cache = open_cache(given, "sha256:00", 32, 3)
        assert isinstance(cache, RedisCache)
        assert cache.get_many(["sha256:a"]) == {}
        cache.close()

    @pytest.mark.parametrize("url", ["redis://:pa55@host:port", "rediss://:pa55@[host"])
    def test_a_url_that_is_none_is_one_line_without_the_password(self, url):
        with pytest.raises(BadSettings, match="redis_url is not a URL of Redis") as error:
            open_cache(settings.Cache(redis_url=url), "sha256:00", 32, 3)
        assert "pa55" not in str(error.value)


@pytest.fixture
def network() -> str:
    """Digest of a network that no other test uses."""
    return f"sha256:{uuid.uuid4().hex * 2}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(redis_service, network, clock):
    """A cache on the shared Redis, with time for an answer even on a busy machine."""
    cache = RedisCache(_settings(redis_service), network, SHAPE, clock)
    yield cache
    cache.close()


def _settings(service: RedisService, **more: object) -> settings.Cache:
    return settings.Cache(redis_url=service.url, **{"redis_timeout": 5.0, **more})


def _written(cache: RedisCache, entries: dict[str, Cached]) -> None:
    """Put entries and wait until they are there, as writes are not waited for."""
    cache.put_many(entries)
    wait_until(lambda: len(cache.get_many(list(entries))) == len(entries), 20, "the write")


class TestRedisCache:
    def test_what_was_put_is_found_by_every_member(self, cache, redis_service, network):
        entries = _entries(5)
        _written(cache, entries)
        other = RedisCache(_settings(redis_service), network, SHAPE)
        hits = _count("moderator_cache_lookups_total", result="hit")
        assert _same(other.get_many([*entries, "sha256:unknown"]), entries)
        assert _count("moderator_cache_lookups_total", result="hit") == hits + 5
        other.close()

    def test_keys_name_the_network_and_the_content_and_go_in_the_end(
        self, cache, redis_service, network
    ):
        _written(cache, _entries(1))
        with redis_service.client() as client:
            short = network.removeprefix("sha256:")[:16]
            keys = list(client.scan_iter(f"moderator:embedding:{short}:*"))
            assert keys == [f"moderator:embedding:{short}:sha256:{0:064x}".encode()]
            assert 86_000 < client.ttl(keys[0]) <= 86_400

    def test_another_network_finds_nothing(self, cache, redis_service):
        entries = _entries()
        _written(cache, entries)
        other = RedisCache(_settings(redis_service), "sha256:" + "7" * 64, SHAPE)
        assert other.get_many(list(entries)) == {}
        other.close()

    def test_entries_of_another_dimension_count_as_misses(self, cache, redis_service, network):
        entries = _entries()
        _written(cache, entries)
        rejected = _count("moderator_cache_rejected_total")
        other = RedisCache(_settings(redis_service), network, Shape(64, 3))
        assert other.get_many(list(entries)) == {}
        assert _count("moderator_cache_rejected_total") == rejected + 3
        other.close()

    def test_members_that_judge_regions_and_those_that_do_not_leave_each_other_alone(
        self, cache, redis_service, network
    ):
        shape = Shape(32, 3, {(64, 64): 3})
        regional = RedisCache(_settings(redis_service), network, shape)
        entry = replace(_cached(7, 3), layout=still(640, 480))
        _written(cache, _entries(1))
        (name,) = _entries(1)
        _written(regional, {name: entry})
        assert _same(cache.get_many([name]), _entries(1))
        found = regional.get_many([name])
        assert _same(found, {name: entry})
        assert found[name].layout.sizes == ((64, 64),)
        regional.close()

    def test_a_value_that_is_garbage_is_a_miss_and_is_written_anew(
        self, cache, redis_service, network
    ):
        entries = _entries(2)
        _written(cache, entries)
        bad, good = entries
        key = f"moderator:embedding:{network.removeprefix('sha256:')[:16]}:{bad}"
        with redis_service.client() as client:
            client.set(key, b"\x80garbage" * 50)
        misses = _count("moderator_cache_lookups_total", result="miss")
        assert cache.get_many([bad, good]).keys() == {good}
        assert _count("moderator_cache_lookups_total", result="miss") == misses + 1
        _written(cache, {bad: entries[bad]})
        assert _same(cache.get_many([bad, good]), entries)

    def test_a_key_that_holds_something_else_is_a_miss(self, cache, redis_service, network):
        key = f"moderator:embedding:{network.removeprefix('sha256:')[:16]}:sha256:list"
        with redis_service.client() as client:
            client.rpush(key, b"a", b"b")
        assert cache.get_many(["sha256:list"]) == {}

    def test_a_value_that_the_client_gives_as_a_text_is_a_miss(self, redis_service, network):
        key = f"moderator:embedding:{network.removeprefix('sha256:')[:16]}:sha256:text"
        with redis_service.client() as client:
            client.set(key, b"MEMB" + b"a" * 60)
        misses = _count("moderator_cache_lookups_total", result="miss")
        rejected = _count("moderator_cache_rejected_total")
        url = f"{redis_service.url}?decode_responses=true"
        texts = RedisCache(settings.Cache(redis_url=url, redis_timeout=5.0), network, SHAPE)
        assert texts.get_many(["sha256:text"]) == {}
        assert _count("moderator_cache_lookups_total", result="miss") == misses + 1
        assert _count("moderator_cache_rejected_total") == rejected + 1
        texts.close()

    def test_an_outage_costs_hits_and_is_over_when_redis_is_back(
        self, cache, redis_service, clock, caplog
    ):
        entries = _entries()
        names = list(entries)
        _written(cache, entries)
        redis_service.kill()
        try:
            errors = _count("moderator_cache_lookups_total", result="error")
            assert cache.get_many(names) == {}
            assert _count("moderator_cache_lookups_total", result="error") == errors + 3
            assert _count("moderator_cache_available") == 0

            bypassed = _count("moderator_cache_lookups_total", result="bypass")
            dropped = _count("moderator_cache_dropped_total")
            assert cache.get_many(names) == {}
            cache.put_many(entries)
            assert _count("moderator_cache_lookups_total", result="bypass") == bypassed + 3
            assert _count("moderator_cache_dropped_total") == dropped + 3
        finally:
            redis_service.start()
        wait_until(lambda: _asked_again(cache, clock, names), 20, "Redis back")
        assert _count("moderator_cache_available") == 1
        _written(cache, entries)
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert (
            len([record for record in warnings if record.name == "moderator.caching.redis_cache"])
            == 1
        )

    def test_a_redis_that_does_not_answer_is_left_after_the_time_out(
        self, redis_service, network, clock
    ):
        cache = RedisCache(_settings(redis_service, redis_timeout=0.3), network, SHAPE, clock)
        entries = _entries()
        redis_service.freeze()
        try:
            assert cache.get_many(list(entries)) == {}
            assert not cache._asking.closed
            cache.put_many(entries)
            bypassed = _count("moderator_cache_lookups_total", result="bypass")
            assert cache.get_many(list(entries)) == {}
            assert _count("moderator_cache_lookups_total", result="bypass") == bypassed + 3
        finally:
            redis_service.thaw()
        wait_until(lambda: _asked_again(cache, clock, list(entries)), 20, "Redis back")
        cache.close()

    def test_writes_to_a_redis_that_hangs_do_not_pile_up(self, redis_service, network):
        cache = RedisCache(_settings(redis_service, redis_timeout=1.0), network, SHAPE)
        dropped = _count("moderator_cache_dropped_total")
        redis_service.freeze()
        try:
            for seed in range(100):
                cache.put_many({f"sha256:{seed}": _cached(seed)})
            wait_until(
                lambda: _count("moderator_cache_dropped_total") == dropped + 100, 30, "all dropped"
            )
        finally:
            redis_service.thaw()
        cache.close()

    def test_a_wrong_password_costs_hits_and_never_shows_in_the_log(
        self, tmp_path, network, caplog
    ):
        service = RedisService(tmp_path, password="right-password")
        service.start()
        try:
            wrong = settings.Cache(redis_url=service.url_with("wr0ng-password"), redis_timeout=5.0)
            cache = RedisCache(wrong, network, SHAPE)
            assert cache.get_many(["sha256:a"]) == {}
            assert not cache._asking.closed
            cache.close()
        finally:
            service.kill()
        assert "invalid username-password" in caplog.text
        assert "wr0ng" not in caplog.text

    def test_a_full_redis_still_gives_what_it_has(self, tmp_path, network, clock, caplog):
        service = RedisService(tmp_path, max_memory="4mb")
        service.start()
        cache = RedisCache(_settings(service), network, SHAPE, clock)
        try:
            entries = _entries()
            _written(cache, entries)
            with service.client() as client:
                client.config_set("maxmemory", "1kb")
            dropped = _count("moderator_cache_dropped_total")
            cache.put_many({"sha256:new": _cached(9)})
            wait_until(
                lambda: _count("moderator_cache_dropped_total") == dropped + 1, 20, "the refusal"
            )
            assert _same(cache.get_many(list(entries)), entries)
            assert "refuses to store" in caplog.text

            cache.put_many({"sha256:new": _cached(9)})
            assert _count("moderator_cache_dropped_total") == dropped + 2, "not even tried"
            with service.client() as client:
                client.config_set("maxmemory", "64mb")
            clock.now += 1
            _written(cache, {"sha256:new": _cached(9)})
        finally:
            cache.close()
            service.kill()


def _asked_again(cache: RedisCache, clock: Clock, names: list[str]) -> bool:
    """Let time pass and look up; whether Redis was asked."""
    clock.now += 60
    before = _count("moderator_cache_lookups_total", result="bypass")
    cache.get_many(names)
    return _count("moderator_cache_lookups_total", result="bypass") == before


class TestCheckRedis:
    def test_without_a_url_there_is_nothing_to_check(self):
        check_redis(settings.Cache(), 1.0)

    def test_one_that_answers_is_well(self, redis_service):
        check_redis(settings.Cache(redis_url=redis_service.url), 20.0)

    @pytest.mark.parametrize("password", ["wr0ng", None])
    def test_a_wrong_password_says_so(self, tmp_path, password):
        service = RedisService(tmp_path, password="right")
        service.start()
        try:
            url = service.url_with(password)
            error = _error(settings.Cache(redis_url=url), BadSettings)
        finally:
            service.kill()
        assert f"127.0.0.1:{service.port}" in error
        assert "refuses the user or password" in error
        assert "wr0ng" not in error

    def test_one_that_is_not_there_says_so(self):
        error = _error(settings.Cache(redis_url="redis://:pa55@127.0.0.1:1/3"), Unavailable)
        assert "127.0.0.1:1/3" in error
        assert "did not answer" in error
        assert "refused" in error
        assert "pa55" not in error

    def test_a_database_that_is_not_there_says_so(self, redis_service):
        url = f"redis://127.0.0.1:{redis_service.port}/99"
        assert "DB index is out of range" in _error(settings.Cache(redis_url=url), BadSettings)

    def test_a_user_that_may_not_read_says_so(self, redis_service):
        with redis_service.client() as client:
            client.acl_setuser("poor", enabled=True, passwords=["+pw"], commands=["+ping"])
        url = f"redis://poor:pw@127.0.0.1:{redis_service.port}/0"
        error = _error(settings.Cache(redis_url=url), BadSettings)
        assert "does not permit" in error
        assert "moderator:embedding:*" in error

    def test_it_waits_for_one_that_comes_up_later(self, tmp_path):
        service = RedisService(tmp_path)
        starting = threading.Timer(1.0, service.start)
        starting.start()
        try:
            check_redis(settings.Cache(redis_url=service.url), 60.0)
        finally:
            starting.join()
            service.kill()

    def test_a_wait_without_a_limit_ends_when_told(self):
        stop = threading.Event()
        threading.Timer(0.5, stop.set).start()
        check_redis(settings.Cache(redis_url="redis://127.0.0.1:1/0"), 0, stop)
        assert stop.is_set()


def _error(cache: settings.Cache, kind: type[ModeratorError]) -> str:
    with pytest.raises(kind) as error:
        check_redis(cache, 1.0)
    assert "\n" not in str(error.value)
    return str(error.value)
