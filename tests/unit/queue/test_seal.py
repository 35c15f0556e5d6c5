import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.problem import Unreadable
from gateway.queue.errors import Damaged, KeyMissing, NewerVersion, Unopened
from gateway.queue.keys import Keys as KeyFolder
from gateway.queue.keys import Ring, initialise
from gateway.queue.seal import label, open_sealed, seal

WHERE = {"lane": "deposits.3", "receipt": "01KAJX-ris-9K2F"}
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@shared
@given(
    payload=st.binary(max_size=300), lane=st.sampled_from(["deposits.0", "large"]), receipt=st.from_regex(r"\A[0-9A-Z-]{1,60}\Z")
)
def test_what_is_sealed_opens_at_its_place(keys, payload, lane, receipt) -> None:
    sealed = seal(payload, keys=keys, lane=lane, receipt=receipt)
    assert open_sealed(sealed, keys=keys, lane=lane, receipt=receipt) == payload
    said = label(sealed)
    assert (said.ring, said.day, said.lane, said.receipt) == (Ring.FLOW, keys.today(), lane, receipt)


def test_every_changed_bit_is_found(keys) -> None:
    sealed = seal(b"CANARI", keys=keys, **WHERE)
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(Unopened):
            open_sealed(bytes(changed), keys=keys, **WHERE)


@shared
@given(st.binary(max_size=120))
def test_any_bytes_are_refused_in_one_way(keys, data) -> None:
    with pytest.raises(Unopened):
        open_sealed(data, keys=keys, **WHERE)


def test_every_cut_is_found(keys) -> None:
    sealed = seal(b"CANARI", keys=keys, **WHERE)
    for length in range(len(sealed)):
        with pytest.raises(Damaged):
            open_sealed(sealed[:length], keys=keys, **WHERE)


@pytest.mark.parametrize("other", [{"lane": "deposits.4"}, {"receipt": "01KAJX-ris-9K2G"}, {"ring": Ring.PARKING}])
def test_it_opens_nowhere_else(keys, other) -> None:
    sealed = seal(b"CANARI", keys=keys, **WHERE)
    with pytest.raises(Damaged, match="another"):
        open_sealed(sealed, keys=keys, **{**WHERE, **other})


def test_a_label_written_anew_does_not_help(keys) -> None:
    sealed = seal(b"CANARI", keys=keys, **WHERE)
    with pytest.raises(Damaged, match="not sealed by a door"):
        open_sealed(sealed.replace(b"deposits.3", b"deposits.4"), keys=keys, lane="deposits.4", receipt=WHERE["receipt"])


def test_the_rings_have_different_keys(keys) -> None:
    sealed = bytearray(seal(b"CANARI", keys=keys, ring=Ring.PARKING, **WHERE))
    assert open_sealed(bytes(sealed), keys=keys, ring=Ring.PARKING, **WHERE) == b"CANARI"
    sealed[1] = Ring.FLOW
    with pytest.raises(Damaged, match="not sealed by a door"):
        open_sealed(bytes(sealed), keys=keys, **WHERE)


def test_another_installation_cannot_open(keys, clock, tmp_path) -> None:
    initialise(tmp_path / "other", clock)
    sealed = seal(b"CANARI", keys=KeyFolder.open(tmp_path / "other", clock), **WHERE)
    with pytest.raises(Damaged):
        open_sealed(sealed, keys=keys, **WHERE)


def test_a_nonce_is_not_used_twice(keys) -> None:
    start = 6 + 1 + len(WHERE["lane"]) + 1 + len(WHERE["receipt"])
    nonces = {seal(b"", keys=keys, **WHERE)[start : start + 12] for _ in range(500)}
    assert len(nonces) == 500


def test_it_opens_on_a_later_day_and_from_a_clock_a_little_ahead(keys, clock) -> None:
    sealed = seal(b"CANARI", keys=keys, **WHERE)
    clock.pass_days(3)
    assert open_sealed(sealed, keys=keys, **WHERE) == b"CANARI"
    tomorrow = bytearray(seal(b"CANARI", keys=keys, **WHERE))
    clock.pass_days(-1)
    assert open_sealed(bytes(tomorrow), keys=keys, **WHERE) == b"CANARI"


def test_a_day_out_of_reach_has_no_key(keys) -> None:
    sealed = bytearray(seal(b"CANARI", keys=keys, **WHERE))
    for day in (0, keys.today() - 1, keys.today() + 2, 2**32 - 1):
        struct.pack_into(">I", sealed, 2, day)
        with pytest.raises(KeyMissing):
            open_sealed(bytes(sealed), keys=keys, **WHERE)


def test_a_newer_version_is_told_apart(keys) -> None:
    sealed = seal(b"CANARI", keys=keys, **WHERE)
    with pytest.raises(NewerVersion):
        open_sealed(b"\x02" + sealed[1:], keys=keys, **WHERE)


@pytest.mark.parametrize(("more", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_limit_counts_the_sealed_form(keys, more, fits) -> None:
    limit = len(seal(b"x" * 100, keys=keys, **WHERE))
    if fits:
        assert len(seal(b"x" * (100 + more), keys=keys, limit=limit, **WHERE)) == limit + more
    else:
        with pytest.raises(Unreadable) as refused:
            seal(b"x" * (100 + more), keys=keys, limit=limit, **WHERE)
        assert refused.value.problems[0].code == "TOO_LARGE"


def test_what_is_parked_has_no_limit(keys) -> None:
    assert len(seal(bytes(16 << 20), keys=keys, ring=Ring.PARKING, **WHERE)) > 16 << 20


@pytest.mark.parametrize("receipt", ["", "x" * 256, "é"])
def test_a_label_that_cannot_be_written(keys, receipt) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the codec's error or ours
        seal(b"", keys=keys, lane="large", receipt=receipt)
