"""The ADT message, segment by segment."""

from collections.abc import Iterable, Mapping

from recipe.er7 import segment
from recipe.people import Establishment, Patient
from recipe.segments import GAM_V, PAM, Source, header, pid, pv1


def adt(
    event: str,
    control_id: str,
    time: str,
    patient: Patient,
    *,
    zfa: Mapping[int, str] | None = None,
    structure: str = "",
    source: Source = GAM_V,
    status: str = "VALI",
    ids: Iterable[str] | None = None,
    charset: str = "UNICODE UTF-8",
    movement: Mapping[int, str] | None = None,
    others: Iterable[str] = (),
) -> list[str]:
    """
    Write an ADT.

    Args:
        event: MSH-9.2.
        control_id: MSH-10.
        time: MSH-7 and EVN-2, local time.
        patient: Whose.
        zfa: Fields of ZFA; no segment without.
        structure: MSH-9.3; `ADT_` and the event when empty.
        source: Who sends.
        status: PID-32.
        ids: PID-3 instead of the IPP and the INS.
        charset: MSH-18.
        movement: Fields of ZBE other than the movement's start, which is EVN-6; no stay (PV1-2 `N`) without.
        others: Segments in the place of PV1, ZBE and ZFA.

    Returns:
        The segments.

    Source: PAM-FR 2.11.2.
    """
    where = source.establishment
    lines = [
        header(
            source,
            f"ADT^{event}^{structure or 'ADT_' + event}",
            control_id,
            time,
            version="2.5^FRA^2.11",
            profile=PAM,
            charset=charset,
            language="FR",
        ),
        segment("EVN", {2: time, 6: time}),
        pid(patient, where, file_number=f"26{control_id[-4:]}", status=status, ids=ids, updated=time),
    ]
    if others:
        return [*lines, *others]
    if movement is None:
        lines.append(segment("PV1", {1: "1", 2: "N"}))
    else:
        visit = f"V{patient.local[where.id]}"
        lines += [pv1(where, visit), _zbe(where, control_id, time, movement)]
    if zfa is not None:
        lines.append(segment("ZFA", zfa))
    return lines


def _zbe(where: Establishment, control_id: str, time: str, movement: Mapping[int, str]) -> str:
    unit = f"Médecine interne^^^^^{where.namespace}&{where.ej}&M^UF^^^4210"
    fields = {
        1: f"{control_id[-4:]}^{where.namespace}^{where.ej}^M",
        2: time,
        4: "INSERT",
        5: "N",
        7: unit,
        9: "HMS",
    }
    return segment("ZBE", {**fields, **movement})
