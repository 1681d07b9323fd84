"""Bring a pull request up to date: one comment of ours with the newest card, and the check on the commit it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from leverframe.domain.review.report.check_record import CheckRecord, open_others, record_in, with_record
from leverframe.domain.review.report.publish import (
    POSTED,
    Comment,
    Create,
    Forge,
    Outdated,
    Posting,
    State,
    Unchanged,
    Update,
    branch_word,
    check_name,
    conclusion,
    ours,
    shows,
    step,
    title,
    with_mark,
    written_by,
)
from leverframe.domain.review.report.pull_of_run import RunOrder
from leverframe.domain.verdict import Failed
from leverframe.errors import PublishError

_DONE = {Create: "created", Update: "updated", Unchanged: "unchanged"}
_ALONE, _LEFT = "check alone", "left alone"


@dataclass(frozen=True)
class PostResult:
    """The address of what was posted, what was done, and why it is not all that was to be, or not by whom it was to be.

    ``other`` tells that another program than the forge posted the comment.
    """

    place: str
    done: str
    why: tuple[str, ...] = ()
    other: bool = False


@dataclass(frozen=True)
class Refused:
    """That another program did not post the comment, and why; ``tried`` tells that it may have done so all the same."""

    why: str = ""
    tried: bool = False


@dataclass(frozen=True)
class PostedElsewhere:
    """That another program posted the comment; ``place`` is the address of the comment that it told."""

    place: str


Others = Callable[[list[Comment], Comment | None], PostedElsewhere | Refused]


def nobody(_: list[Comment], __: Comment | None) -> Refused:
    """Leave the comment to the forge."""
    return Refused()


@dataclass(frozen=True)
class CardPost:
    """One pull request to be brought up to date; without a ``number``, a commit that no pull request shows.

    ``others`` may carry out a step in place of the forge, given all comments and ours, and says whether it did.
    ``mark`` is the line by which it finds the comment again. ``reviewed`` adds what belongs to the card besides its own
    check.
    """

    forge: Forge
    number: int | None
    posting: Posting
    others: Others = nobody
    reviewed: Callable[[], None] = lambda: None
    mark: str = ""

    def __call__(self, *, dry: bool) -> PostResult:
        """Post comment and check, and return what was done; a newer run's are left alone.

        A comment that is refused does not cost the check. Its ``PublishError`` is raised after that, unless nobody
        could comment there: then the check alone is what can be had.
        """
        if self.posting.pending:
            return PostResult("", "would say that a verdict is to come") if dry else self._check()
        refusal = None
        try:
            ended = self.comment(dry=dry)
        except PublishError as error:
            if dry:
                raise
            refusal, ended = error, PostResult("", _ALONE, (f"no comment: {error.why}", f"next: {error.next}"))
        if ended.done not in POSTED:
            return ended
        try:
            checked = self._check()
        except PublishError as error:
            raise error if refusal is None else _both(refusal, error) from error
        if refusal is not None and not refusal.closed:
            raise refusal
        if checked.done == _LEFT:
            return checked
        return replace(ended, place=ended.place or checked.place, why=(*ended.why, *checked.why))

    def comment(self, *, dry: bool) -> PostResult:
        """Bring the comment alone up to date."""
        if self.number is None:
            return PostResult("", "would add the check" if dry else _ALONE)
        comments = self.forge.comments(self.number)
        marked = any(written_by(comment.body, self.posting.key) is not None for comment in comments)
        author = self.forge.me() if marked else ""  # without a comment that may be ours, nobody has to be asked
        wanted = step(comments, author, self.posting.key, self.posting.body)
        mine = ours(comments, author, self.posting.key)
        place = mine[0].url if mine else ""
        if isinstance(wanted, Outdated):
            return PostResult(place, _LEFT, (_newer(wanted.order),))
        if dry:
            return PostResult(place, f"would {type(wanted).__name__.lower()}")
        if len(mine) <= 1 and isinstance(wanted, Unchanged) and not wanted.renewed:
            return PostResult(place, _DONE[type(wanted)])
        handed = self.others(comments, mine[0] if mine else None)
        if isinstance(handed, PostedElsewhere) or handed.tried:
            listed, author = self.forge.comments(self.number), author or self.forge.me()
            mine, handed = ours(listed, author, self.posting.key), _kept_apart(handed, listed, author)
        place = self._alone(mine)
        if not place and isinstance(handed, PostedElsewhere):
            place = handed.place  # it is on no list yet
        elif not place:
            place = self._created(self.number, mine, author)
        why = (handed.why,) if isinstance(handed, Refused) and handed.why else ()
        return PostResult(place, _DONE[type(wanted)], why, other=isinstance(handed, PostedElsewhere))

    def _created(self, number: int, mine: list[Comment], author: str) -> str:
        """Create the comment, leave one of ours, and return its address."""
        body = with_mark("", self.posting.body, self.mark)
        made = self.forge.create(number, body)  # whose author is known now, if it could not be before
        gone = {comment.number for comment in mine} | {made.number}
        listed = ours(self.forge.comments(number), made.author or author, self.posting.key)
        return self._alone([*(comment for comment in listed if comment.number not in gone), made]) or made.url

    def _alone(self, mine: Sequence[Comment]) -> str:
        """Let the oldest comment that is still there show the newest card, and remove the others; return its address.

        A list that lags behind hides what is there and shows what is gone: so there may be a second comment of ours,
        and one that cannot be changed any more. Empty where none is left.
        """
        body = max([self.posting.body, *(comment.body for comment in mine)], key=self._order)
        left = sorted(mine, key=lambda comment: comment.number)
        while left and not (shows(left[0].body, body) or self._updated(left[0], body)):
            left.pop(0)
        for extra in left[1:]:
            self.forge.delete(extra)
        return left[0].url if left else ""

    def _updated(self, comment: Comment, body: str) -> bool:
        return self.forge.update(comment, with_mark(comment.body, body, self.mark))

    def _order(self, body: str) -> RunOrder:
        return written_by(body, self.posting.key) or RunOrder()

    def _check(self) -> PostResult:
        """Add the check run and what belongs to it, unless a newer run of the commit and pull request added its own.

        A commit has one check of a name, whatever pull requests it is the head of: while one of them fails, or waits
        for its verdict, it is not green. No check run is left that goes on for ever: it is taken over, or ended
        with the last one.
        """
        posting, name = self.posting, self.posting.check or check_name(self.posting.key)
        failed, pending = isinstance(posting.verdict, Failed) and not posting.pending, bool(posting.pending)
        mine = CheckRecord(
            self.number or 0, self._order(posting.summary), failed, branch_word(posting.base), posting.tip, pending
        )
        listed = self.forge.checks(name, posting.head)
        read = [(check, record_in(check.summary, posting.key)) for check in listed]
        known = [record for _, record in read if record is not None]
        newest = max((record.order for record in known if record.is_of(mine)), default=RunOrder())
        if newest > mine.order:
            return PostResult("", _LEFT, (_newer(newest),))
        if not pending:
            self.reviewed()
        others = [] if failed else [record for record in open_others(known, mine) if self._counts(record)]
        state, words = self._shown(others)
        summary = with_record(posting.summary, mine)
        going = [check for check, record in read if check.goes_on and record is not None and record.is_into(mine)]
        last = read[-1] if read else None
        if last and last[0] in going and last[1] is not None and last[1].is_of(mine):
            url = self.forge.check_again(going.pop().number, state, words, summary)
        else:
            url = self.forge.check_run(name, posting.head, state, words, summary)  # the last of a name is what counts
        for check in going if state != "pending" else ():
            self.forge.check_again(check.number, state, words, check.summary)
        return PostResult(url, _ALONE, (words,) if others else ())

    def _shown(self, others: Sequence[CheckRecord]) -> tuple[State, str]:
        """Return how the check stands, and its title: as this card says unless another pull request holds it back."""
        posting = self.posting
        failing = [record for record in others if record.failed]
        if failing:
            return "failure", f"do not merge: #{failing[0].pull} has the same commit, and fails"
        if posting.pending:
            return "pending", posting.pending
        if others:
            return "pending", f"#{others[0].pull} has the same commit, and waits for its verdict"
        return conclusion(posting.verdict), title(posting.verdict)

    def _counts(self, record: CheckRecord) -> bool:
        """Tell whether another pull request is still open at this commit and base; one that nobody can look up is."""
        try:
            pull = self.forge.pull(record.pull)
        except PublishError:
            return True
        there = not record.base or record.base == branch_word(pull.base)
        return pull.open and pull.head == self.posting.head and there


def _kept_apart(handed: PostedElsewhere | Refused, listed: Sequence[Comment], author: str) -> PostedElsewhere | Refused:
    """Return what another program did, which is not what was asked for where it wrote into a comment of somebody."""
    place = handed.place if isinstance(handed, PostedElsewhere) else ""
    taken = next((comment for comment in listed if comment.url == place and comment.author != author), None)
    if taken is None:
        return handed
    return Refused(
        f"CML wrote the card into a comment of {taken.author}, who added its watermark meanwhile", tried=True
    )


def _newer(order: RunOrder) -> str:
    attempt = f", attempt {order.attempt}" if order.attempt > 1 else ""
    return f"a newer run has posted: {order.run}{attempt}; to post its card again, re-run that one"


def _both(first: PublishError, second: PublishError) -> PublishError:
    """Return one error for two refusals; it may be tried again where both may."""
    kind = type(first) if type(first) is type(second) else PublishError
    what, why, following = (
        "; ".join(dict.fromkeys(texts))
        for texts in ((first.what, second.what), (first.why, second.why), (first.next, second.next))
    )
    return kind(what, why=why, next=following)
