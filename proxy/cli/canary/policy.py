"""What a pipeline makes of a verdict: its exit code, and a sentence where that is not the verdict's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from canary import report
from canary.verdict import Judgement, Verdict

INCONCLUSIVE = Verdict.KEEP_WATCHING.exit_code
_NAMED = {"fail": 1, "pass": 0}


@dataclass(frozen=True, slots=True)
class Policy:
    """How `fig canary gate` is to end."""

    inconclusive: int = INCONCLUSIVE
    """The exit code in place of 3, where the evidence decides nothing."""
    dry_run: bool = False
    """Whether every verdict ends with 0."""

    def exit_code(self, verdict: Verdict) -> int:
        """A fault is never made less of than it is, but in a dry run."""
        if self.dry_run:
            return 0
        return self.inconclusive if verdict is Verdict.KEEP_WATCHING else verdict.exit_code

    def note(self, verdict: Verdict) -> str:
        """What is to be said beside the verdict; ``""`` where it ends as DESIGN section 7 has it."""
        if self.dry_run:
            real = Policy(self.inconclusive).exit_code(verdict)
            return f"dry run: exit code 0 whatever the verdict; {verdict.value} would have been {real}"
        if verdict is Verdict.KEEP_WATCHING and self.inconclusive != INCONCLUSIVE:
            meant = "passes" if self.inconclusive == 0 else "fails"
            return f"without a decision this gate {meant} (--inconclusive): exit code {self.inconclusive}"
        return ""

    def page(self, judgement: Judgement) -> str:
        """The judgement in Markdown, with the note."""
        note = self.note(judgement.verdict)
        return report.to_markdown(judgement) + (f"\n**{note}**\n" if note else "")


def parse_inconclusive(text: str) -> int:
    """``fail`` is 1, ``pass`` is 0, else the exit code itself. Raises ValueError."""
    if text in _NAMED:
        return _NAMED[text]
    if re.fullmatch("[0-9]{1,3}", text) is None or int(text) > 255:
        raise ValueError(
            f"--inconclusive: '{text}' is neither fail, nor pass, nor a number from 0 to 255, the exit code itself"
        )
    return int(text)
