"""The page of identity watch: how two files become one and two again, and every kind of task (D-22)."""

from typing import Final

from gateway.store.tasks import TO_DO

_PAGE: Final = """\
# Identity watch

What a person must look at, and what only two persons may do. The verbs with their options are in [verbs.md](verbs.md), the
reasons in [D-1](decisions.md#d-1-oppositions-go-by-establishment-and-by-every-identifier).

| to do | verb |
|---|---|
| what waits, the oldest first; what was done, and by whom | `dmp-gateway record tasks`, `--done` |
| say that it is done; the name stays in the trace | `dmp-gateway record task-done` |
| two files are one person's | `dmp-gateway record merge`, signed by two |
| they are not | `dmp-gateway record unmerge`, signed by two |
| what was stored under a number while it named somebody else | `dmp-gateway record misfiled` |
| take a document where it belongs | `dmp-gateway record move`, signed by two |
| show a withheld document again, because the patient says so | `dmp-gateway record release` |

## Two files become one

By an `A40` where one of them at most has an INS or a record: the other's numbers lead to it from then on. Two INS, or two
records, are merged by two persons only, and no message merges again what two persons separated.

| | after the merge |
|---|---|
| identifiers | all lead to the file that stays; an old INS is an alias |
| oppositions | those of both bind it. Two records: each that was in force on either side stays in force; an allowance of the \
other side that would lift it is set aside, and the patient is asked again. Local files: the latest word of a series counts, as \
for a link |
| documents | move with versions, entries and tombstones; a deletion or a later version that came on one side takes effect on \
the document of the other. An opposition of one side withholds what the other stored since it was \
stated (O-7). Of one id on both sides the document of the file that stays is shown, the other is kept apart |
| record | open only if both were; readable in an emergency only if both said so |
| visits, words taken back (A47) | count for the file that stays |

## And two again

| | after the undo |
|---|---|
| identifiers | what the merge took goes back, unless it was moved elsewhere since |
| documents | what the merge moved goes back; what came since under one of these identifiers, or replaces such a document, \
too; what tells of neither side stays and is listed |
| statements | each that ever bound one of the two binds both, until the patient says which is whose; but an allowance \
of the one, or one that came by the numbers of both, does not lift what the other opposes: it is set aside, \
and the patient is asked again |
| record | what nothing but the merge closed is open again; the answer for emergencies stays the more protective one |

A merge that was followed by another one of the file that stayed is undone after that one.

## Kinds of tasks

| kind | what to do |
|---|---|
"""


def identity_watch() -> str:
    """Return the page."""
    return _PAGE + "".join(f"| `{kind}` | {text} |\n" for kind, text in TO_DO.items())
