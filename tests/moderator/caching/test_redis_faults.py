"""Redis that is slow, hostile, over TLS, or has other passwords: deciding goes on all the same."""

import struct
import time
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import REGISTRY

from moderator import settings
from moderator.caching.cache import check_redis
from moderator.caching.cached import Cached
from moderator.caching.redis_cache import RedisCache
from moderator.caching.redis_client import redis_client
from moderator.caching.redis_value import HEADER, MAGIC, VERSION, VIEW, Shape
from moderator.errors import BadSettings
from tests.moderator.layouts import still
from tests.services.certificates import Authority
from tests.services.process import wait_until
from tests.services.redis import SecureRedisService
from tests.services.slow_proxy import SlowProxy

SHAPE = Shape(dimension=32, max_frames=3)
PASSWORD = "r1ght-password"


def entries(count: int) -> dict[str, Cached]:
    rows = np.random.default_rng(0).normal(size=(count, 1, 32))
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    return {
        f"sha256:{n:064x}": Cached(row.astype(np.float16), still(9, 9))
        for n, row in enumerate(rows)
    }


def count(result: str) -> float:
    value = REGISTRY.get_sample_value("moderator_cache_lookups_total", {"result": result})
    return value or 0.0


def written(cache: RedisCache, given: dict[str, Cached]) -> None:
    cache.put_many(given)
    wait_until(lambda: len(cache.get_many(list(given))) == len(given), 20, "the write")


class TestSlow:
    @pytest.mark.slow
    def test_answers_after_500_ms_cost_a_bounded_wait_and_then_none(self, redis_service):
        proxy = SlowProxy(redis_service.port, delay=0.5)
        given = settings.Cache(redis_url=f"redis://127.0.0.1:{proxy.port}/0")
        cache = RedisCache(given, f"sha256:{uuid.uuid4().hex * 2}", SHAPE)
        waits = []
        try:
            errors, end = count("error"), time.monotonic() + 6
            while time.monotonic() < end:
                begin = time.monotonic()
                assert cache.get_many(list(entries(8))) == {}
                cache.put_many(entries(8))
                waits.append(time.monotonic() - begin)
                time.sleep(0.01)
            # The breaker lets none wait but the first: what follows are probes beside the stream.
            assert count("error") - errors == 8
            assert sum(wait > given.redis_timeout / 2 for wait in waits) <= 3
            assert sum(waits) < 1.5
            proxy.delay = 0.0
            wait_until(lambda: _asked(cache), 40, "Redis asked again")
        finally:
            cache.close()
            proxy.close()

    def test_closing_does_not_wait_for_one_that_hangs(self, redis_service):
        given = settings.Cache(redis_url=redis_service.url, redis_timeout=0.2)
        cache = RedisCache(given, f"sha256:{uuid.uuid4().hex * 2}", SHAPE)
        redis_service.freeze()
        try:
            for _ in range(8):
                cache.put_many(entries(1))
            begin = time.monotonic()
            cache.close()
            assert time.monotonic() - begin < 10
        finally:
            redis_service.thaw()


def _asked(cache: RedisCache) -> bool:
    before = count("bypass")
    cache.get_many(["sha256:a"])
    time.sleep(0.1)
    return count("bypass") == before


class TestPoisoned:
    @pytest.mark.parametrize("kind", ["huge", "short", "nan", "long rows", "version", "network"])
    def test_what_is_no_entry_of_this_network_is_a_miss(self, redis_service, kind):
        network = f"sha256:{uuid.uuid4().hex * 2}"
        short = network.removeprefix("sha256:")[:16]
        cache = RedisCache(settings.Cache(redis_url=redis_service.url, redis_timeout=5), network,
                           SHAPE)  # fmt: skip
        row = np.zeros(32, "<f2")
        row[0] = 1
        of = {"version": VERSION, "network": bytes.fromhex(short)}
        value = _value(of, row)
        key = f"moderator:embedding:{short}:sha256:a"
        try:
            with redis_service.client() as client:
                client.set(key, value)
                assert cache.get_many(["sha256:a"]).keys() == {"sha256:a"}
                poison = {
                    "huge": value + bytes(64 * 2**20),
                    "short": value[:-1],
                    "nan": _value(of, np.full(32, np.nan, "<f2")),
                    "long rows": _value(of, row * 2),
                    "version": _value({**of, "version": VERSION - 2}, row),
                    "network": _value({**of, "network": b"another!"}, row),
                }
                client.set(key, poison[kind])
                rejected = REGISTRY.get_sample_value("moderator_cache_rejected_total")
                assert cache.get_many(["sha256:a"]) == {}
                assert REGISTRY.get_sample_value("moderator_cache_rejected_total") == rejected + 1
                (answer,) = cache._values([key])
                assert len(answer) <= SHAPE.most_bytes + 1
                client.delete(key)
        finally:
            cache.close()

    def test_a_redis_that_was_flushed_is_filled_again(self, redis_service):
        cache = RedisCache(settings.Cache(redis_url=redis_service.url, redis_timeout=5),
                           f"sha256:{uuid.uuid4().hex * 2}", SHAPE)  # fmt: skip
        try:
            written(cache, entries(3))
            with redis_service.client() as client:
                client.flushall()
            misses = count("miss")
            assert cache.get_many(list(entries(3))) == {}
            assert count("miss") == misses + 3
            written(cache, entries(3))
        finally:
            cache.close()


def _value(of: dict[str, object], row: np.ndarray) -> bytes:
    head = HEADER.pack(MAGIC, of["version"], 1, 3, 32, 9, 9, 1, 0, of["network"])
    view = VIEW.pack(64, 64, 0, 0, 0, 0, 0, 0)
    return head + view + struct.pack("<32e", *row.tolist())


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(authority, tmp_path_factory) -> Iterator[SecureRedisService]:
    certificate = authority.issue("redis-server")
    service = SecureRedisService(tmp_path_factory.mktemp("redis-tls"), certificate,
                                 authority.cert, ("worker", PASSWORD))  # fmt: skip
    service.start()
    yield service
    service.kill()


class TestSecure:
    def given(self, secure, authority, **more: object) -> settings.Cache:
        return settings.Cache(**{
            "redis_url": secure.url, "redis_cafile": authority.cert, "redis_username": "worker",
            "redis_password": PASSWORD, "redis_timeout": 5, **more,
        })  # fmt: skip

    def test_one_with_least_rights_is_enough(self, secure, authority):
        given = self.given(secure, authority)
        check_redis(given, 20)
        cache = RedisCache(given, f"sha256:{uuid.uuid4().hex * 2}", SHAPE)
        written(cache, entries(3))
        cache.close()

    def test_a_user_and_password_in_the_url_are_taken_too(self, secure, authority):
        url = f"rediss://worker:{PASSWORD}@localhost:{secure.port}/0"
        given = settings.Cache(redis_url=url, redis_cafile=authority.cert)
        check_redis(given, 20)
        assert PASSWORD not in repr(given) + repr(redis_client(given, 1))

    def test_what_cannot_be_trusted_or_is_refused_is_one_line(self, secure, authority, tmp_path):
        other = Authority(tmp_path, "other").cert
        cases = (
            ({"redis_password": "wr0ng"}, "refuses the user or password"),
            ({"redis_cafile": other}, "not trusted"),
            ({"redis_url": f"rediss://127.0.0.1:{secure.port}/0"}, "another host name"),
            ({"redis_certfile": other}, "redis_certfile"),
        )
        for change, said in cases:
            with pytest.raises(BadSettings) as caught:
                check_redis(self.given(secure, authority, **change), 5)
            text = str(caught.value)
            assert said in text
            assert "\n" not in text
            assert not {PASSWORD, "wr0ng"}.intersection(text.split())

    def test_a_rotated_password_is_used_from_the_next_connection_on(
        self, secure, authority, tmp_path
    ):
        path = tmp_path / "password"
        path.write_text("wr0ng\n")
        given = self.given(secure, authority, redis_password=None, redis_password_file=path)
        cache = RedisCache(given, f"sha256:{uuid.uuid4().hex * 2}", SHAPE)
        assert cache.get_many(["sha256:a"]) == {}
        path.write_text(f"{PASSWORD}\n")
        wait_until(lambda: _asked(cache), 40, "Redis asked again")
        written(cache, entries(2))
        cache.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"redis_url": "rediss://:pa55@h", "redis_password": "pa55"}, "give it once"),
        ({"redis_url": "rediss://h?ssl_cert_reqs=none"}, "leave ssl_ options out"),
        ({"redis_url": "redis://h", "redis_cafile": __file__}, "need rediss://"),
        ({"redis_password": "pa55"}, "need redis_url"),
        ({"redis_url": "rediss://h", "redis_username": "me"}, "needs redis_password"),
        ({"redis_url": "rediss://h", "redis_keyfile": __file__}, "need redis_certfile"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_without_the_secret(given, said):
    with pytest.raises(BadSettings, match=said) as caught:
        settings.load_settings({k: str(v) for k, v in given.items()}, environ={})
    assert "pa55" not in str(caught.value)
    with pytest.raises(ValueError, match=said) as raw:
        settings.Cache(**given)
    assert "pa55" not in str(raw.value)
