"""What a door bears of unfinished messages."""

import pytest

from gateway.adapters.budget import FREE_BYTES, Budget


@pytest.mark.parametrize(("others", "refused"), [(-1, False), (0, False), (1, True)])
def test_over_the_limit_whoever_holds_much_gives_way(others: int, refused: bool) -> None:
    budget = Budget(10 * FREE_BYTES)
    budget.change(0, 8 * FREE_BYTES + others)
    budget.change(0, 2 * FREE_BYTES)
    assert budget.refuses(2 * FREE_BYTES) is refused
    assert not budget.refuses(FREE_BYTES)
    budget.change(2 * FREE_BYTES, 0)
    assert budget.held == 8 * FREE_BYTES + others
    assert not budget.refuses(2 * FREE_BYTES)
