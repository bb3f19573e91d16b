import pytest

from barnabas_quant.feeds.pacing import NANOSECONDS, Pacer

LATER = 1_700_000_000 * NANOSECONDS


class Clock:
    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.mark.parametrize("speed", [0.5, 1, 10])
def test_a_recording_keeps_its_distances(speed: float) -> None:
    clock = Clock(LATER)
    pacer = Pacer(speed, clock)
    assert pacer.wait(100 * NANOSECONDS) == 0
    assert pacer.wait(105 * NANOSECONDS) == pytest.approx(5 / speed)
    clock.now += 2 * NANOSECONDS
    assert pacer.wait(105 * NANOSECONDS) == pytest.approx(max(0, 5 / speed - 2))
    assert pacer.source_time() == round((100 + 2 * speed) * NANOSECONDS)


def test_without_a_speed_nothing_waits() -> None:
    pacer = Pacer(None, Clock(0))
    assert pacer.wait(1) == pacer.wait(10**30) == 0
    assert pacer.source_time() is None


def test_a_live_source_catches_up_and_then_keeps_to_the_clock() -> None:
    clock = Clock(LATER)
    pacer = Pacer(1, clock, live=True)
    assert pacer.wait(LATER - 30 * NANOSECONDS) == 0
    assert pacer.wait(LATER - 1) == 0
    assert pacer.wait(LATER + 4 * NANOSECONDS) == pytest.approx(4)
    assert pacer.source_time() == LATER


def test_a_live_source_ahead_of_the_clock_is_not_waited_for() -> None:
    pacer = Pacer(1, Clock(LATER), live=True)
    assert pacer.wait(LATER + 3600 * NANOSECONDS) == 0
    assert pacer.wait(LATER + 3601 * NANOSECONDS) == pytest.approx(1)


def test_speed_is_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Pacer(0, Clock(0))
