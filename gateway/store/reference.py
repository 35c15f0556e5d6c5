"""The identity that a record holds: set once, made more complete by its own source, never exchanged by a message (D-19)."""

from gateway.model.patient import PatientIdentity, Traits
from gateway.model.submission import Reception
from gateway.rules import identity
from gateway.store.identity import patient_of_ins
from gateway.store.rows import TraceRow
from gateway.store.transaction import Transaction


def hold(tx: Transaction, patient: int, traits: Traits, *, source: str, receipt: str, shared: bool = False) -> None:
    """
    Write a new version of the identity that a record holds, if what arrives says more and may say it.

    Args:
        tx: The open transaction.
        patient: Whose record.
        traits: As stated.
        source: Who states them: a source, or `operator`.
        receipt: Of the event.
        shared: A homonym or a twin is known: it stays known, whoever says so.

    Source: identity-and-consent § 1.5, § 1.6; D-19.
    """
    known = tx.reference_of(patient)
    found = identity.merged(known.traits if known else None, traits, same_source=known is None or known.source == source)
    if found.watch:
        tx.watch("identity.watch", receipt, patient, " ".join((*found.contested, *found.withheld)))
    homonym = shared or (known is not None and known.homonym)
    if not found.changed and homonym == (known is not None and known.homonym):
        return
    version = 1 if known is None else known.version + 1
    # Where nothing was said before, whoever says it first is the source.
    kept = known is not None and known.traits != Traits()
    stated_by = known.source if known is not None and kept else source
    tx.write_reference(
        patient, identity.Reference(version=version, traits=found.traits, source=stated_by, homonym=homonym), receipt
    )


def qualified(tx: Transaction, reception: Reception, stated: PatientIdentity) -> None:
    """
    Take what an event says of an identity under VALI and its INS: the record's identity, and that the establishment stands by it.

    Args:
        tx: The open transaction.
        reception: Of the event.
        stated: The identity, its identifiers usable and linked; nothing happens unless it is qualified and has an INS.

    Source: D-19.
    """
    patient = patient_of_ins(stated, tx.patient_of) if stated.is_qualified else None
    if patient is None:
        return
    hold(tx, patient, stated.traits, source=reception.source, receipt=reception.receipt, shared=stated.is_shared)
    if reception.establishment in tx.suspended(patient):
        tx.resume(patient, reception.establishment)
        tx.rights_changed(patient)
        tx.write_trace(
            TraceRow(
                actor=reception.source,
                action="identity.resumed",
                receipt=reception.receipt,
                patient=patient,
                rule="D-19",
                rights_version=tx.rights_version(patient),
            )
        )
