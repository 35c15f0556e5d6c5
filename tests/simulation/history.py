"""What the hospitals send in a simulation: clients with their messages in order, decided by a seed alone."""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.model.event import FileMerge, Position, RecordEvent, Scope
from gateway.model.patient import PatientId
from gateway.model.submission import Act, Deposit, Flags, Reception
from tests.strategies import records
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, START, adt, closing, local, opening, stated

PEOPLE: Final = tuple((ins, local(H1, f"1{n}"), local(H2, f"2{n}")) for n, ins in enumerate((ALICE, BORIS, CARLA)))

#: No backend can hold it: the store cannot apply such a deposit, for a reason that is not its sender's.
_POISON: Final = 2**63

_DATES: Final = (None, "20260309", "20260310", "202603100850", "20260310080005+0000", "20260311", "20620310")
_SCOPES: Final = ((Scope.ALL, None), (Scope.ESTABLISHMENT, H1), (Scope.CLASS, "60"), (Scope.TYPE, "51969-4"))


@dataclass(frozen=True)
class Message:
    """What a client sends, as often as it takes: each time under a receipt of its own."""

    name: str
    body: Deposit | RecordEvent
    #: Facts of its reception; receipt and instant are those of each send.
    reception: Reception

    def received(self, receipt: str, at: str) -> Reception:
        return msgspec.structs.replace(self.reception, receipt=receipt, received_at=at)

    def __str__(self) -> str:
        return f"{self.name} {_words(self.body)}"


def _words(body: Deposit | RecordEvent) -> str:
    if not isinstance(body, Deposit):
        who = "+".join(f"{each.authority[-6:]}:{each.value[-4:]}" for each in body.identifiers)
        said = [f"{s.position} {s.side}/{s.collected_by}/{s.scope}" for s in getattr(body, "statements", ())]
        return f"{type(body).__name__} {who} {' '.join(said)}{' links' if getattr(body, 'links', False) else ''}"
    submission = body.submission
    who = "+".join(each.value[-4:] for each in submission.identifiers)
    what = [f"{d.entry.unique_id}@{d.entry.set_id}:{d.entry.version}>{','.join(d.entry.replaces)}" for d in submission.documents]
    return f"{submission.act} {who} {'+'.join(submission.establishments)} {' '.join(what)}"


@dataclass
class _Chain:
    """A document's versions, as their author sees them."""

    person: tuple[PatientId, ...]
    owner: str
    set_id: str
    head: str
    version: int = 1
    deleted: bool = False


@dataclass
class _Writer:
    """Makes the messages of one history."""

    chance: random.Random
    chains: list[_Chain] = field(default_factory=list)
    made: list[Message] = field(default_factory=list)

    def message(self, body: Deposit | RecordEvent, establishment: str, *, ids: tuple[str, str] | None = None) -> Message:
        name = f"m{len(self.made):02}"
        message_id = "015" if self.chance.random() < 0.1 else name
        message_id, digest = ids or (message_id, hashlib.sha256(name.encode()).hexdigest())
        kind = "MDM^T02" if isinstance(body, Deposit) else "ADT^A01"
        reception = records.reception(
            name, START, establishment=establishment, message_id=message_id, digest=digest, message_type=kind
        )
        made = Message(name, body, reception)
        self.made.append(made)
        return made

    # -- deposits

    def deposit(self, establishment: str) -> Message:
        chance = self.chance
        mine = [chain for chain in self.chains if chain.owner == establishment and not chain.deleted]
        kind = chance.choices(
            ("new", "replace", "delete", "again", "other", "foreign", "poison", "pair"), (30, 22, 8, 12, 4, 5, 10, 5)
        )[0]
        if kind == "again" and self.made:
            earlier = [m for m in self.made if isinstance(m.body, Deposit) and m.reception.establishment == establishment]
            if earlier:
                # The whole message again, or its document in another message.
                first = chance.choice(earlier)
                ids = (first.reception.message_id, first.reception.message_digest) if chance.random() < 0.5 else None
                return self.message(first.body, establishment, ids=ids)
        if kind in {"replace", "delete", "other"} and mine:
            chain = chance.choice(mine)
            return getattr(self, f"_{kind}")(chain)
        if kind == "foreign" and self.chains:
            chain = chance.choice(self.chains)
            act = chance.choice((Act.DELETE, Act.REPLACE))
            name = chain.head if act is Act.DELETE else self._name()
            return self._send(chain, establishment, act, name, replaces=() if act is Act.DELETE else (chain.head,), version=90)
        return self._new(establishment, kind)

    def _name(self) -> str:
        return f"1.2.{len(self.made)}"

    def _new(self, establishment: str, kind: str) -> Message:
        name = self._name()
        chain = _Chain(self.chance.choice(PEOPLE), establishment, f"9.{name}", name)
        if kind == "poison":
            return self._send(chain, establishment, Act.ADD, name, version=_POISON)
        self.chains.append(chain)
        if kind == "pair":
            return self._send(chain, establishment, Act.ADD, name, f"{name}.2", version=None)
        return self._send(chain, establishment, Act.ADD, name, version=1)

    def _replace(self, chain: _Chain) -> Message:
        name, parent = self._name(), chain.head
        chain.head, chain.version = name, chain.version + 1
        return self._send(chain, chain.owner, Act.REPLACE, name, replaces=(parent,), version=chain.version)

    def _delete(self, chain: _Chain) -> Message:
        chain.deleted = True
        return self._send(chain, chain.owner, Act.DELETE, chain.head, version=chain.version)

    def _other(self, chain: _Chain) -> Message:
        """The id of a document with other bytes or another visibility."""
        return self._send(chain, chain.owner, Act.ADD, chain.head, version=chain.version, content=b"<other/>")

    def _send(
        self,
        chain: _Chain,
        establishment: str,
        act: Act,
        *names: str,
        version: int | None,
        replaces: tuple[str, ...] = (),
        content: bytes = b"",
    ) -> Message:
        chance = self.chance
        also = tuple(chance.sample(chain.person[1:], chance.choice((0, 0, 1))))
        patient = (chain.person[0], *also) if chance.random() < 0.6 else (*also, chain.person[0])
        sent = records.deposit(
            "",
            START,
            patient=patient,
            establishments=(establishment, *((H2 if establishment == H1 else H1,) if chance.random() < 0.15 else ())),
            act=act,
            documents=tuple((name, content or b"<doc>" + name.encode()) for name in names),
            flags=Flags(masque_ps=content == b"" and chance.random() < 0.05),
            set_id=None if version is None else chain.set_id,
            version=version,
            replaces=replaces,
            type_code=chance.choice(("11502-2", "51969-4")),
            class_code=chance.choice((None, "60")),
        )
        return self.message(sent, establishment)

    # -- events

    def event(self, establishment: str) -> Message:
        chance = self.chance
        kind = chance.choices(("state", "link", "open", "close", "again", "mixed", "merge"), (50, 18, 12, 4, 10, 6, 6))[0]
        person = chance.choice(PEOPLE)
        mine = (person[0], person[1] if establishment == H1 else person[2])
        if kind == "open":
            return self.message(opening(person[0]), establishment)
        if kind == "close":
            return self.message(closing(person[0]), establishment)
        if kind == "again":
            earlier = [m for m in self.made if not isinstance(m.body, Deposit) and m.reception.establishment == establishment]
            if earlier:
                first = chance.choice(earlier)
                return self.message(first.body, establishment, ids=(first.reception.message_id, first.reception.message_digest))
        if kind == "merge":
            one, other = self.chance.sample([person[1] for person in PEOPLE], 2) if chance.random() < 0.5 else person[1:]
            return self.message(FileMerge(trigger="A40", identifiers=(one,), absorbed=(other,)), establishment)
        if kind == "mixed":
            # Two people's identifiers in one message: nothing may be linked.
            return self.message(adt(patient=tuple(chance.sample([*PEOPLE[0], *PEOPLE[1]], 2))), establishment)
        carried = mine if kind == "link" or chance.random() < 0.4 else (chance.choice(mine),)
        said = () if kind == "link" else (self._statement(establishment),)
        return self.message(adt(*said, patient=carried, links=kind == "link" or chance.random() < 0.5), establishment)

    def _statement(self, establishment: str):
        chance = self.chance
        position = chance.choice((Position.OPPOSES, Position.OPPOSES, Position.ALLOWS))
        scope, value = chance.choice(_SCOPES) if chance.random() < 0.4 else (Scope.ALL, None)
        side = None if scope is not Scope.ALL or chance.random() < 0.3 else establishment
        return stated(position, side, at=chance.choice(_DATES), scope=scope, value=value)


def clients(seed: int) -> list[list[Message]]:
    """Return the messages of each client, in the order in which it sends them; the first one's are the openings of records."""
    chance = random.Random(f"history {seed}")
    writer = _Writer(chance)
    opened = [person for person in PEOPLE if chance.random() < 0.85]
    found: list[list[Message]] = [[writer.message(opening(person[0]), H1) for person in opened]]
    kinds = [("lab", H1), ("gam", H1), ("ris", H2), ("gam", H2)]
    found += [[] for _ in kinds]
    for _ in range(chance.randint(6, 26)):
        number = chance.choices(range(len(kinds)), (5, 2, 4, 1))[0]
        kind, establishment = kinds[number]
        found[number + 1].append(writer.event(establishment) if kind == "gam" else writer.deposit(establishment))
    return found
