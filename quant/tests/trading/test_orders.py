"""The table of what may become of an order, and requests that are none."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from barnabas_quant.trading.orders import OPEN, TRANSITIONS, Order, OrderError, OrderRequest, Status, Step

STATUSES: tuple[Status, ...] = get_args(Status)
REQUEST = OrderRequest(instrument="a:B", side="BUY", quantity=1)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("step", get_args(Step))
def test_what_the_table_does_not_have_raises(status: Status, step: Step) -> None:
    order = Order(id="o", request=REQUEST, created=0, status=status)
    if (status, step) in TRANSITIONS:
        assert order.step(step) == order.status == TRANSITIONS[status, step]
    else:
        with pytest.raises(OrderError, match=step):
            order.step(step)
        assert order.status == status


def test_every_status_is_reached_and_final_ones_are_final() -> None:
    reached: set[Status] = {"new"}
    for _ in STATUSES:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(STATUSES)
    assert {before for before, _ in TRANSITIONS} == set(OPEN)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quantity": 0}, "quantity"),
        ({"type": "limit"}, "needs a price"),
        ({"price": 1}, "has no price"),
        ({"type": "limit", "price": -1}, "above 0"),
        ({"type": "stop"}, "needs a trigger"),
        ({"type": "limit", "price": 1, "trigger": 1}, "has no trigger"),
        ({"type": "trailing_stop"}, "needs a distance"),
        ({"type": "trailing_stop", "trail": 1, "trail_rate": 1}, "needs a distance"),
        ({"type": "trailing_stop", "trail_rate": 0}, "above 0"),
        ({"trail": 1}, "follows no price"),
    ],
)
def test_a_request_that_is_wrong_in_itself(fields: dict[str, Any], said: str) -> None:
    assert said in OrderRequest(**({"instrument": "a:B", "side": "BUY", "quantity": 1} | fields)).wrong()
    assert REQUEST.wrong() == ""
