"""A question with a typed answer: how long to shelve, or which version is really meant."""

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gateway.console.cells import muted


class AskScreen(ModalScreen[str | None]):
    """Asks; gives the answer, or None when the person leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave", id="ask.leave", tooltip="Leave without doing anything")
    ]

    def __init__(
        self,
        *,
        title: str,
        question: str,
        is_answer: Callable[[str], bool],
        hint: str,
        given: str = "",
    ) -> None:
        """Prepare the question.

        Args:
            title: What it is about.
            question: What to type, in a sentence.
            is_answer: Whether a text will do.
            hint: Said when it will not.
            given: Stands in the field at first.
        """
        super().__init__()
        self._title = title
        self._question = question
        self._is_answer = is_answer
        self._hint = hint
        self._given = given

    def compose(self) -> ComposeResult:
        """Put question and field into a box."""
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = "enter: do it · esc: leave"
            yield Static(self._question)
            yield Input(self._given, id="answer")
            yield Static("", id="hint")

    @on(Input.Submitted)
    def take(self, event: Input.Submitted) -> None:
        """Give the answer, if it is one."""
        if self._is_answer(event.value):
            self.dismiss(event.value)
        else:
            self.query_one("#hint", Static).update(muted(f"That is not {self._hint}."))

    def action_leave(self) -> None:
        """Give none."""
        self.dismiss(None)
