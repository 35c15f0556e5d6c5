from hypothesis import given
from hypothesis import strategies as st

from gateway.model.patient import PatientId, PatientIdentity
from gateway.queue import lanes
from tests.strategies.submissions import INS_TEST, deposit, deposits, patient


def test_a_patient_keeps_its_partition_for_ever() -> None:
    """Pinned: another hash, another process or another machine must not move a patient (D-10)."""
    known = {"275016301234597": 3, "186027505432185": 9, "157089912345607": 0, "": 3}
    assert {ins: lanes.partition(deposit(identity=patient(ins)).submission) for ins in known} == known


def test_the_partitions_share_the_patients() -> None:
    found = [lanes.partition(deposit(identity=patient(str(number))).submission) for number in range(1600)]
    assert set(found) == set(range(16))
    assert max(found.count(number) for number in range(16)) < 150


def test_only_the_first_identifier_counts() -> None:
    first = PatientId(value="275016301234597", authority=INS_TEST, type="INS")
    alone = deposit(identity=PatientIdentity(identifiers=(first,)))
    assert lanes.partition(alone.submission) == lanes.partition(deposit(identity=patient()).submission)


def test_value_and_authority_do_not_run_together() -> None:
    pairs = [("1", "23"), ("12", "3")]
    one, other = (
        deposit(identity=PatientIdentity(identifiers=(PatientId(value=value, authority=authority),)))
        for authority, value in pairs
    )
    assert lanes.partition(one.submission) != lanes.partition(other.submission)


def test_without_any_identifier_it_is_the_first_partition() -> None:
    assert lanes.partition(deposit(identity=PatientIdentity()).submission) == 0


def test_all_deposits_of_a_patient_travel_in_one_lane() -> None:
    """Their order is kept in a lane alone: whatever the deposit, its door, its receipt."""
    for ins in ("275016301234597", "186027505432185"):
        made = [deposit(number, identity=patient(ins), title=f"n° {number}") for number in range(50)]
        assert len({lanes.lane(each, 100 + number) for number, each in enumerate(made)}) == 1


def test_large_starts_past_its_limit() -> None:
    assert lanes.lane(deposit(), lanes.LARGE_BYTES).startswith("deposits.")
    assert lanes.lane(deposit(), lanes.LARGE_BYTES + 1) == "large"


def test_the_insurer_has_its_own_lane() -> None:
    assert lanes.lane(deposit(door="feed"), 10) == "bulk"
    assert lanes.lane(deposit(door="feed"), 10_000_000) == "bulk"


@given(deposits(), st.integers(0, 20_000_000))
def test_every_deposit_has_a_lane_that_carries(made, size) -> None:
    assert lanes.lane(made, size) in lanes.CARRYING
