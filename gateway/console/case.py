"""Cases in the console: one line that tells, and the question for a verdict."""

from typing import Final

from rich.text import Text

from gateway.api.case_answers import CaseAnswer
from gateway.console.ask import AskScreen
from gateway.console.format import label, plural
from gateway.console.palette import MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.view import View
from gateway.core.cases import Verdict

WORDS: Final = {
    Verdict.CONFIRMED: "confirmed",
    Verdict.FALSE: "false",
    Verdict.PLANNED_WORK: "planned work",
}
"""What a technician types, and reads."""


def case_line(case: CaseAnswer, snapshot: Snapshot) -> Text:
    """Return a case in one line."""
    line = Text(" case ", style=MUTED, no_wrap=True)
    line.append(f"open {snapshot.age(case.opened)}", style=f"bold {WARN}")
    line.append(f" · {plural(len(case.conditions), 'alarm')}: ", style=MUTED)
    line.append(", ".join(label(name) for name in case.conditions), style=TEXT)
    if case.verdict is not None:
        line.append(f" · {WORDS[case.verdict]} ({case.operator})", style=TEXT)
    return line


def parse_verdict(text: str) -> tuple[Verdict, str] | None:
    """Return the verdict that a text opens with, and the note behind it; None is no verdict."""
    typed = " ".join(text.split())
    for verdict, words in WORDS.items():
        if typed.casefold().startswith(words):
            note = typed[len(words) :]
            if not note or not note[0].isalnum():
                return verdict, note.lstrip(" :,-")
    return None


async def ask_verdict(view: View, case: CaseAnswer) -> None:
    """Ask for a verdict and give it to the gateway."""
    answer = await view.app.push_screen_wait(
        AskScreen(
            title=f"Case of {case.asset}",
            question="What was it? confirmed (the machine was at fault), false (nothing was wrong)"
            " or planned work; behind it, what you found. The models learn from it.",
            is_answer=lambda text: parse_verdict(text) is not None,
            hint="confirmed, false or planned work",
        )
    )
    decided = parse_verdict(answer or "")
    if decided is not None:
        verdict, note = decided
        done = f"{case.asset}: {WORDS[verdict]}"
        await view.act(view.client.decide(case.id, verdict, note=note), done=done)
