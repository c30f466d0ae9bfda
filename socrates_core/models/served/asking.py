"""Asks several questions at a time: sends them, receives the replies, and decides when to stop."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from threading import Thread

from socrates_core.errors import UserError
from socrates_core.models.served.account import Account
from socrates_core.models.served.ask import MOST_TEXT, Lost, Refused, Reply
from socrates_core.models.served.elicit import Elicited
from socrates_core.models.served.read import UNKNOWN, Receipt, Unreadable, read_receipt
from socrates_core.records import Answer, Question

GLANCE = 0.5  # seconds between checks whether the caller wants to stop
PATIENCE = 16  # questions in a row without an answer after which no more are asked


class Unanswered(UserError):
    """Some questions have no answer; raised after all answers were yielded."""


@dataclass
class Sent:
    """A question under way, the most tokens (read, written) that it can use, and what is kept of its replies."""

    question: Question
    most: tuple[int, int]
    receipts: list[Receipt] = field(default_factory=list)
    raw: str = ""  # how the last reply began

    def keep(self, reply: Reply) -> None:
        """Keeps the usage of a reply; not the reply, since one question may take a thousand of them."""
        self.receipts += [UNKNOWN] * reply.n_unusable
        self.receipts.append(read_receipt(reply.body, self.question.prompt))
        self.raw = reply.text[:MOST_TEXT]


class Round:
    """One pass over questions: at most `at_once` are under way, and none that could exceed the limit is sent."""

    def __init__(
        self,
        waiting: Sequence[Sent],
        *,
        elicit: Callable[[Sent], Elicited],
        account: Account,
        at_once: int,
    ) -> None:
        self._waiting = deque(waiting)
        self._n_questions = len(waiting)
        self._elicit = elicit
        self._account = account
        self._at_once = at_once
        self._under_way: dict[Future[Elicited], Sent] = {}
        self._causes: list[str] = []
        self._in_a_row = 0
        self._stop: UserError | None = None

    def results(self) -> Iterator[list[tuple[Question, Answer]]]:
        """The answers as they arrive, at least every half second. Raises UserError at the end for missing ones."""
        self._send()
        while self._under_way:
            done, _ = wait(self._under_way, timeout=GLANCE, return_when=FIRST_COMPLETED)
            yield [pair for future in done for pair in self._receive(future)]
            self._send()
        if self._stop is not None:
            raise self._stop
        if self._causes:
            raise Unanswered(
                f"{len(self._causes)} of {self._n_questions} questions got no answer; the first because: "
                f"{self._causes[0]} They stay missing. Resume to ask them again; answers so far are kept."
            )

    def _send(self) -> None:
        while self._waiting and self._stop is None and len(self._under_way) < self._at_once:
            together = [*self._under_way.values(), self._waiting[0]]
            if not self._account.affords(sum(self._account.cost(sent.most) for sent in together)):
                if not self._under_way:
                    self._stop = self._limit_reached()
                return
            sent = self._waiting.popleft()
            future = Future[Elicited]()
            self._under_way[future] = sent
            # A daemon, so that a request under way does not keep the worker from ending.
            Thread(target=self._ask, args=(sent, future), daemon=True).start()

    def _ask(self, sent: Sent, future: Future[Elicited]) -> None:
        try:
            future.set_result(self._elicit(sent))
        except Exception as error:  # noqa: BLE001 - a thread's edge: whatever it is, `_receive` raises it again
            future.set_exception(error)

    def _receive(self, future: Future[Elicited]) -> Iterator[tuple[Question, Answer]]:
        sent = self._under_way.pop(future)
        error = future.exception()
        wasted = [UNKNOWN] * error.n_unusable if isinstance(error, Lost) else []
        self._account.settle([*sent.receipts, *wasted], sent.most)
        try:
            elicited = future.result()
        except Refused as refused:
            self._miss(sent, str(refused), "")
            if refused.for_all:
                self._stop = refused
        except Lost as lost:
            self._miss(sent, str(lost), lost.raw)
        except Unreadable as unreadable:
            self._miss(sent, str(unreadable), sent.raw)
        else:
            self._in_a_row = 0
            self._account.n_unlisted += elicited.n_unlisted
            for oddity in elicited.oddities:
                self._account.note(sent.question, oddity.cause, oddity.raw)
            yield sent.question, elicited.answer

    def _miss(self, sent: Sent, cause: str, raw: str) -> None:
        self._account.note(sent.question, cause, raw)
        self._causes.append(cause)
        self._in_a_row += 1
        if self._in_a_row >= PATIENCE and self._stop is None:
            self._stop = Unanswered(
                f"{self._in_a_row} questions in a row got no answer, so no more are asked; the last because: {cause} "
                "Resume when the server answers again; answers so far are kept."
            )

    def _limit_reached(self) -> UserError:
        limit, spent = self._account.limit_usd, self._account.usd or 0.0
        return Unanswered(
            f"The spending limit of ${limit:,.2f} is reached: ${spent:,.4f} are spent, and one of the "
            f"{len(self._waiting):,} questions left could exceed it. Run it again with a higher limit; answers so far "
            "are kept."
        )
