from moderator.caching.breaker import FIRST_PAUSE, LONGEST_PAUSE, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_closed_until_a_failure_and_then_until_a_probe_succeeds():
    clock = Clock()
    breaker = Breaker(clock)
    assert breaker.closed
    assert not breaker.probe_due()
    assert breaker.failed()
    assert not breaker.closed
    assert not breaker.probe_due()
    clock.now += FIRST_PAUSE
    assert breaker.probe_due()
    assert not breaker.closed
    assert breaker.succeeded()
    assert breaker.closed
    assert not breaker.succeeded()


def test_one_caller_probes_at_a_time():
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    clock.now += FIRST_PAUSE
    assert [breaker.probe_due() for _ in range(3)] == [True, False, False]
    assert not breaker.failed()
    assert not breaker.probe_due()


def test_the_pause_doubles_with_each_probe_that_fails_up_to_the_longest():
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    pauses = []
    for _ in range(8):
        start = clock.now
        while not breaker.probe_due():
            clock.now += 0.5
        pauses.append(clock.now - start)
        breaker.failed()
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_failures_that_were_under_way_do_not_lengthen_the_pause():
    clock = Clock()
    breaker = Breaker(clock)
    assert [breaker.failed() for _ in range(5)] == [True, False, False, False, False]
    clock.now += FIRST_PAUSE
    assert breaker.probe_due()


def test_what_answers_probes_and_nothing_more_is_asked_ever_more_rarely():
    clock = Clock()
    breaker = Breaker(clock)
    pauses = []
    for _ in range(7):
        breaker.failed()
        begin = clock.now
        while not breaker.probe_due():
            clock.now += 0.5
        pauses.append(clock.now - begin)
        breaker.succeeded()
        clock.now += 0.5
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_long_after_a_success_the_pause_is_the_first_one_again():
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(4):
        breaker.failed()
        clock.now += LONGEST_PAUSE
        assert breaker.probe_due()
    breaker.succeeded()
    clock.now += LONGEST_PAUSE
    breaker.failed()
    clock.now += FIRST_PAUSE
    assert breaker.probe_due()
