"""What a rule answers: a verdict, the rule's number, and one sentence that says why."""

from gateway.model.base import Model
from gateway.model.verdict import Verdict


class Decision(Model, frozen=True, kw_only=True):
    """
    One answer of the rules; the same for a deposit and for whoever asks what would become of it.

    A test that lets pass answers with the verdict which the act gets if no other test refuses it.
    """

    verdict: Verdict
    #: Problem code of a refusal, a row of the table of problems; None where nothing is wrong with this document itself.
    problem: str | None = None
    #: Number of the rule that decided: `O-2`, `D-5`, `R-08`…
    rule: str
    #: One sentence for the operator: no person, no value, no title.
    because: str
    #: Id of the statement that refused.
    statement: str | None = None

    @property
    def refuses(self) -> bool:
        """Whether nothing may be written."""
        return self.verdict is Verdict.REFUSED
