"""Who gives way where every place is taken."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.mllp.places import who_gives_way


@dataclass(eq=False)
class Seat:
    peer: str
    has_spoken: bool = True
    working: bool = False


def test_the_oldest_that_never_spoke_of_whoever_has_most_of_those() -> None:
    seats = [Seat("b", has_spoken=False), Seat("a"), *(Seat("a", has_spoken=False) for _ in range(3))]
    assert who_gives_way(seats, "b", 5) is seats[2]
    assert who_gives_way(seats, "a", 5) is seats[2]


def test_what_is_worked_on_never_gives_way() -> None:
    seats = [Seat("a", working=True) for _ in range(4)]
    assert who_gives_way(seats, "b", 4) is None
    seats.append(Seat("a"))
    assert who_gives_way(seats, "b", 5) is seats[4]


def test_a_machine_with_more_than_half_makes_place_for_another_and_not_for_itself() -> None:
    seats = [Seat("a"), Seat("a"), Seat("a"), Seat("b")]
    assert who_gives_way(seats, "c", 4) is seats[0]
    assert who_gives_way(seats, "b", 4) is seats[0]
    assert who_gives_way(seats, "a", 4) is None
    assert who_gives_way([Seat("a"), Seat("a"), Seat("b"), Seat("b")], "c", 4) is None


seats_of = st.lists(st.builds(Seat, peer=st.sampled_from("abc"), has_spoken=st.booleans(), working=st.booleans()), min_size=1)


@given(seats_of, st.sampled_from("abcd"))
def test_whoever_gives_way_waits_for_nothing_and_a_modest_machine_that_spoke_never_does(seats: list[Seat], new: str) -> None:
    leaver = who_gives_way(seats, new, len(seats))
    if leaver is None:
        return
    assert not leaver.working
    if leaver.has_spoken:
        assert sum(seat.peer == leaver.peer for seat in seats) > len(seats) // 2
        assert leaver.peer != new
        assert all(seat.has_spoken or seat.working for seat in seats)
