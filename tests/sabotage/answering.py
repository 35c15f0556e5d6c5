"""The sabotages of what an HL7v2 sender is told, and when: batches, older forms, late answers. Numbers as in `posting`."""

from typing import Final

from tests.sabotage.sabotage import Sabotage, breaking

_JUDGE: Final = "gateway/adapters/hl7v2/judge.py"
_OUTCOMES: Final = "gateway/adapters/hl7v2/outcomes.py"
_LINE: Final = "gateway/adapters/mllp/connection.py"
_BATCH: Final = "gateway/mappers/hl7v2/batch.py"
_ANSWERS: Final = "tests/unit/mllp/test_answers.py"
_LATER: Final = "tests/door/test_mllp_later.py"
_CUT: Final = "tests/unit/hl7v2/test_batch.py"
_OLDER: Final = "tests/unit/hl7v2/test_older.py"

ANSWERING: Final[tuple[Sabotage, ...]] = (
    breaking(
        "110",
        "AA does not wait for the decision where the source is to hear it",
        _JUDGE,
        "taken = await outcome if withheld else None",
        "taken = None",
        _ANSWERS,
    ),
    breaking(
        "111",
        "CA is given before a deposit is durable",
        _JUDGE,
        "                outcome = await self._deposits.publish(arrival.reception, submission, reading.parts, waits=waits)\n",
        "                async def both() -> Outcome:\n"
        "                    made = self._deposits.publish(arrival.reception, submission, reading.parts, waits=waits)\n"
        "                    return await (await made)\n\n"
        "                if asked is not None:\n"
        "                    outcome = asyncio.ensure_future(both())\n"
        "                else:\n"
        "                    outcome = await self._deposits.publish(\n"
        "                        arrival.reception, submission, reading.parts, waits=waits\n"
        "                    )\n",
        _ANSWERS,
    ),
    breaking(
        "112",
        "what is parked is answered AE",
        _OUTCOMES,
        "    if not outcome.verdict.final:\n        return Answer.AR\n",
        "    if not outcome.verdict.final:\n        return Answer.AE\n",
        _ANSWERS,
    ),
    breaking(
        "113",
        "what the trailers of a batch count is not looked at",
        _BATCH,
        "if written.isdigit() and len(written) <= _LONGEST_COUNT and int(written) in expected:",
        "if written.isdigit():",
        _CUT,
    ),
    breaking(
        "114",
        "a batch that broke off is taken as far as it came",
        _BATCH,
        "        if missing:\n",
        "        if not missing and self._file_ended and not self._seen:\n",
        _CUT,
    ),
    breaking(
        "115",
        "each message of a batch waits for a queue that is away",
        "gateway/adapters/hl7v2/session.py",
        "            away = away or _away(each)\n",
        "            away = None\n",
        "tests/unit/mllp/test_batches.py",
    ),
    breaking(
        "116",
        "a flag in an older form hides nothing",
        "gateway/mappers/hl7v2/flags.py",
        "            values[code] = flag\n",
        "            values[code] = flag and value(obx, 3, 3) == SYSTEM\n",
        _OLDER,
    ),
    breaking(
        "117",
        "an order that says nothing (SC) is taken from a message of version 2.1",
        "gateway/mappers/hl7v2/act.py",
        "if older and value(orc, 1) == STATUS_CHANGED:",
        "if value(orc, 1) == STATUS_CHANGED:",
        _OLDER,
    ),
    breaking(
        "118",
        "the particulars in an acknowledgment are not escaped",
        "gateway/mappers/hl7v2/ack.py",
        'escaped("; ".join(_diagnostic(problem, place))),',
        '"; ".join(_diagnostic(problem, place)),',
        "tests/unit/hl7v2/test_ack.py",
    ),
    breaking(
        "119",
        "a declared character set goes over the one that its source is configured to be read by",
        "gateway/mappers/hl7v2/charset.py",
        "    if forced and default:\n",
        "    if forced and default and not declared:\n",
        _ANSWERS,
        "tests/unit/hl7v2/test_charset.py",
    ),
    breaking(
        "120",
        "a door that closes waits for no acknowledgment that is still to come",
        _LINE,
        "            if not self._later:  # else they are waited for\n",
        "            if self._reason is not None:\n",
        _LATER,
    ),
    breaking(
        "121",
        "an outcome that never comes holds its place for ever",
        _LINE,
        "async with asyncio.timeout(LATEST_SECONDS):",
        "async with asyncio.timeout(None):",
        _LATER,
    ),
    breaking(
        "122",
        "two acknowledgments that are decided at once are sent at once",
        _LINE,
        "while (rest := self._spoke",
        "if (rest := self._spoke",
        _LATER,
    ),
    breaking(
        "123",
        "a refusal in an acknowledgment is 200 over HTTP",
        "gateway/adapters/http/hl7v2.py",
        'return 422 if codes & {b"AE", b"CE"} else 200',
        "return 200",
        "tests/unit/http/test_pieces.py",
    ),
)
