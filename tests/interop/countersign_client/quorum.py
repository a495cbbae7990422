"""How many approvers an entry needs, and how many it must leave."""

from __future__ import annotations

from collections.abc import Set

from .approval import Approval, Subject
from .changes import OF_RESET, Rotate, Veto
from .entries import Deny, Entry, Known
from .forms import Signed, open_form
from .policy import APPROVER, RECOVERY
from .problems import Problem
from .roster import Roster


def check_quorum(
    roster: Roster, entry: Signed[Entry], quorum: int, forms: tuple[bytes, ...], subject: Subject,
    about: Set[bytes] = frozenset(),
) -> None:
    """The approvals are so many, the signer being one, and each counts: else `quorum`, or `approval-void`."""
    approvals = [open_form(Approval, form) for form in forms]
    signers = [approval.signer for approval in approvals]
    wanted = 0 if roster.role(entry.signer) == RECOVERY else quorum - 1
    if len(signers) != wanted:
        raise Problem("quorum", f"{len(signers)} approvals, {wanted} needed")
    if signers != sorted(set(signers)):
        raise Problem("approval-void", "approvals ascend by signer, and none signs twice")
    for approval in approvals:
        if not _counts(roster, entry, approval, subject, about):
            raise Problem("approval-void", approval.signer.hex())


def _counts(
    roster: Roster, entry: Signed[Entry], approval: Signed[Approval], subject: Subject, about: Set[bytes]
) -> bool:
    head = roster.positions.get(approval.body.head)
    return (
        approval.body.chain == roster.chain
        and approval.body.subject == subject
        and head is not None
        and head.seq >= (roster.removals_lapsed if subject.kind == 4 else roster.lapsed)
        and roster.role(approval.signer) == APPROVER
        and approval.signer != entry.signer
        and approval.signer not in about
    )


def outlived(body: Known) -> tuple[bool, bool]:
    """Whether approvals outlive an entry, and whether those of a removal do."""
    any_time = isinstance(body, Deny) or (isinstance(body, Veto) and body.of == OF_RESET)
    return any_time, any_time or (isinstance(body, Rotate) and body.rotation.recovery is None)


def check_approvers_left(after: Roster, by_recovery: bool) -> None:
    """Somebody can still decide; and as many as the policy asks for, unless the recovery device takes them away."""
    if not after.approvers:
        raise Problem("last-approver")
    if not by_recovery:
        check_enough_approvers(after)


def check_enough_approvers(after: Roster) -> None:
    """As many approvers as each quorum asks for."""
    if after.approvers < after.policy.highest_quorum:
        raise Problem("too-few-approvers")
