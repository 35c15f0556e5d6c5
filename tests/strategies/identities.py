"""Identities with traits and a status, and what is sent under them."""

import msgspec

from gateway.model.event import IdentifierChange, PatientEvent, RecordOpening, Statement
from gateway.model.ins import ROOT_NIA, ROOT_NIR, control_key
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.submission import Deposit
from gateway.model.when import When
from tests.strategies.records import opening

#: The traits of one person, whole.
ALICE_TRAITS = Traits(
    birth_name="ESSAI-UN",
    first_given_name="ADELE",
    given_names="ADELE LOUISE",
    birth_date=When.read("19841002"),
    sex="F",
    birth_place="35238",
)
#: Of another one: nothing but the sex is the same.
CARLA_TRAITS = Traits(
    birth_name="ESSAI-TROIS",
    first_given_name="CHLOE",
    given_names="CHLOE",
    birth_date=When.read("20120615"),
    sex="F",
    birth_place="13055",
)


def nir(thirteen: str) -> PatientId:
    """An INS of the root of NIR."""
    return PatientId(value=f"{thirteen}{control_key(thirteen):02}", authority=ROOT_NIR, type="INS")


def nia(thirteen: str) -> PatientId:
    """A temporary one."""
    return PatientId(value=f"{thirteen}{control_key(thirteen):02}", authority=ROOT_NIA, type="INS")


def but(traits: Traits, **changed: object) -> Traits:
    """Traits with some changed."""
    return msgspec.structs.replace(traits, **changed)


def identity(
    *identifiers: PatientId, traits: Traits = ALICE_TRAITS, status: tuple[str, ...] = ("VALI",), twin: bool = False
) -> PatientIdentity:
    """An identity as PID gives it."""
    return PatientIdentity(identifiers=identifiers, traits=traits, reliability=status, twin=twin)


def qualified(named: PatientIdentity, *statements: Statement, links: bool = True) -> PatientEvent:
    """An ADT under VALI."""
    return PatientEvent(trigger="A31", identifiers=named.identifiers, links=links, identity=named, statements=statements)


def changed(
    named: PatientIdentity, *former: PatientId, withdrawn: bool = False, statements: tuple[Statement, ...] = ()
) -> IdentifierChange:
    """An A47."""
    return IdentifierChange(
        trigger="A47", identifiers=named.identifiers, former=former, withdrawn=withdrawn, identity=named, statements=statements
    )


def opened_with(traits: Traits, *identifiers: PatientId) -> RecordOpening:
    """The opening of a record at which traits are told."""
    return msgspec.structs.replace(opening(*identifiers), traits=traits)


def under(made: Deposit, traits: Traits, *targets: Traits) -> Deposit:
    """A deposit with the traits of its message, and of each document's recordTarget (the same, unless they are given)."""
    sent = made.submission
    told = targets or (traits,) * len(sent.documents)
    documents = tuple(
        msgspec.structs.replace(
            document, patients=tuple(msgspec.structs.replace(patient, traits=target) for patient in document.patients)
        )
        for document, target in zip(sent.documents, told, strict=True)
    )
    patient = msgspec.structs.replace(sent.patient, traits=traits)
    return msgspec.structs.replace(made, submission=msgspec.structs.replace(sent, patient=patient, documents=documents))
