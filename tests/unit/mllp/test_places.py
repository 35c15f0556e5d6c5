"""Who gives way where every place is taken."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.places import who_gives_way


@dataclass(eq=False)
class Seat:
    peer: str
    has_spoken: bool = True
    working: bool = False


def test_the_oldest_that_never_spoke_of_whoever_has_most_of_those() -> None:
    seats = [Seat("b", has_spoken=False), *(Seat("a", has_spoken=False) for _ in range(2)), Seat("a"), Seat("c"), Seat("b")]
    assert who_gives_way(seats, "d", 6) is seats[1]


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
    seats[1].has_spoken = False
    assert who_gives_way(seats, "c", 4) is seats[1]
    assert who_gives_way(seats, "a", 4) is seats[1]


def test_one_that_has_just_come_is_not_put_out_by_a_machine_that_has_half() -> None:
    assert who_gives_way([Seat("a"), Seat("a"), Seat("a"), Seat("b", has_spoken=False)], "a", 4) is None


seats_of = st.lists(st.builds(Seat, peer=st.sampled_from("abc"), has_spoken=st.booleans(), working=st.booleans()), min_size=1)


@given(seats_of, st.sampled_from("abcd"))
def test_whoever_gives_way_waits_for_nothing_and_a_modest_machine_that_spoke_never_does(seats: list[Seat], new: str) -> None:
    leaver = who_gives_way(seats, new, len(seats))
    if leaver is None:
        return
    assert not leaver.working
    own = sum(seat.peer == new for seat in seats)
    if own >= max(1, len(seats) // 2):
        assert leaver.peer == new and not leaver.has_spoken
    if leaver.has_spoken:
        assert sum(seat.peer == leaver.peer for seat in seats) > len(seats) // 2
        assert leaver.peer != new
