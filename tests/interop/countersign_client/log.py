"""The rules of the log. `apply` is pure: the same roster and entry always give the same roster, or the same refusal."""

from __future__ import annotations

from dataclasses import replace

from .approval import Abandoned, Admission, Approval, Nothing, RoleChange, Subject
from .changes import (
    OF_CLOSING, ChangePolicy, ChangeRole, Close, Closing, Leave, Remove, Rotate, Settle, Veto,
)
from .entries import Admit, Deny, Entry, Found, Known
from .forms import Device, JoinRequest, Signed, open_form
from .policy import APPROVER, BY_RECOVERY, RECOVERY, TO_ADMIT, TO_CHANGE, TO_CLOSE, TO_REMOVE, check_policy
from .problems import Problem
from .quorum import check_approvers_left, check_enough_approvers, check_quorum, outlived
from .roster import (
    LEFT, REPLACED, Decision, Epoch, Former, InForce, Member, Position, Roster, Span, StandingClosing, writes,
)
from .rotation import EARLIER, Cut, Rotation


def apply(roster: Roster | None, entry: Signed[Entry]) -> Roster:
    """The roster after an entry, or the first rule that does not hold."""
    body = entry.body.body
    if roster is None:
        if not isinstance(body, Found):
            raise Problem("other-chain", "a log starts with found")
        return _found(entry, body)
    _follows(roster, entry)
    after = _changed(roster, entry)
    if after.closing and after.role(after.closing.signer) != APPROVER:
        after = replace(after, closing=None)
    seq, (any_lives, removals_live) = entry.body.seq, outlived(body)
    return replace(
        after,
        head=entry.hash,
        seq=seq,
        positions={**roster.positions, entry.hash: Position(seq, after.epoch)},
        lapsed=roster.lapsed if any_lives else seq,
        removals_lapsed=roster.removals_lapsed if removals_live else seq,
    )


def _changed(roster: Roster, entry: Signed[Entry]) -> Roster:
    match entry.body.body:
        case Admit() as body:
            return _admit(roster, entry, body)
        case Deny() as body:
            return _deny(roster, entry, body)
        case Remove() as body:
            return _remove(roster, entry, body)
        case Rotate() as body:
            return _rotated(roster, entry, body.rotation)
        case Leave() as body:
            return _leave(roster, entry, body)
        case ChangeRole() as body:
            return _change_role(roster, entry, body)
        case ChangePolicy() as body:
            return _change_policy(roster, entry, body)
        case Closing() as body:
            return _closing(roster, entry, body)
        case Veto() as body:
            return _veto(roster, body)
        case Close() as body:
            return _close(roster, body)
        case Settle() as body:
            return _settle(roster, entry, body)
    raise Problem("other-chain", "a second found")


def _follows(roster: Roster, entry: Signed[Entry]) -> None:
    """What every entry but the first must be: in its place, of an open chain, by somebody who may."""
    if entry.body.chain != roster.chain:
        raise Problem("other-chain")
    if entry.body.seq != roster.seq + 1 or entry.body.prev != roster.head:
        raise Problem("head-moved")
    if roster.closed:
        raise Problem("chain-closed")
    role = roster.role(entry.signer)
    if role is None:
        raise Problem("not-a-member")
    if role != APPROVER and not _will_do(role, entry.body.body):
        raise Problem("not-an-approver")


def _will_do(role: int, body: Known) -> bool:
    """What somebody may sign who is no approver."""
    if role != RECOVERY:
        return isinstance(body, Leave)
    return isinstance(body, Admit | Remove) or (isinstance(body, Rotate) and body.rotation.recovery is not None)


# Joining


def _found(entry: Signed[Entry], found: Found) -> Roster:
    check_policy(found.policy)
    if found.policy.highest_quorum > 1:
        raise Problem("too-few-approvers", "there is one")
    by = found.founder.signing
    members = {by: Member(APPROVER, 0, 1, found.founder.sealing, by, None, found.description)}
    if found.recovery:
        members[found.recovery[0].signing] = Member(RECOVERY, 0, 1, found.recovery[0].sealing, by, None)
    return Roster(
        chain=entry.hash,
        head=entry.hash,
        seq=0,
        founded=found,
        in_force=InForce(found.policy, 1, found.join_key),
        epochs={1: Epoch(0, found.key_id, found.join_key, by, b"")},
        members=members,
        former={},
        writing={by: (Span(0),)},
        decisions=(),
        known_keys=frozenset(found.signing_keys() + found.sealing_keys()) - {found.join_key},
        positions={entry.hash: Position(0, 1)},
    )


def _admit(roster: Roster, entry: Signed[Entry], admit: Admit) -> Roster:
    request = open_form(JoinRequest, admit.request)
    device = request.body.device
    if request.hash in roster.decided:
        raise Problem("already-decided")
    _check_fresh(roster, device)
    if request.body.join_key != roster.join_key:
        raise Problem("stale-join-key")
    if admit.epoch != roster.epoch:
        raise Problem("stale-epoch")
    ways = (BY_RECOVERY,) if roster.role(entry.signer) == RECOVERY else roster.policy.ways
    if admit.how not in ways:
        raise Problem("way-not-allowed")
    if admit.totp_step is not None and admit.totp_step <= roster.totp_step:
        raise Problem("totp-step-used")
    if admit.role == RECOVERY:
        raise Problem("role-not-allowed")
    subject = Subject(2, Admission(request.hash, admit.role))
    check_quorum(roster, entry, roster.policy.quorums[TO_ADMIT], admit.approvals, subject, {device.signing})
    if roster.counted >= roster.policy.most_members:
        raise Problem("chain-full")
    seq = entry.body.seq
    member = Member(admit.role, seq, roster.epoch, device.sealing, entry.signer, admit.how, admit.description)
    return replace(
        roster,
        members={**roster.members, device.signing: member},
        writing={**roster.writing, device.signing: (Span(seq),)} if writes(admit.role) else roster.writing,
        decisions=(*roster.decisions, Decision(request.hash, device.signing, None, seq)),
        known_keys=roster.known_keys | {device.signing, device.sealing},
        totp_step=roster.totp_step if admit.totp_step is None else admit.totp_step,
    )


def _check_fresh(roster: Roster, device: Device) -> None:
    """Neither key was ever admitted or denied."""
    if {device.signing, device.sealing} & roster.known_keys:
        raise Problem("key-known")


def _deny(roster: Roster, entry: Signed[Entry], deny: Deny) -> Roster:
    if deny.request in roster.decided:
        raise Problem("already-decided")
    if deny.device in roster.members:
        raise Problem("key-is-member")
    return replace(
        roster,
        decisions=(*roster.decisions, Decision(deny.request, deny.device, deny.reason, entry.body.seq)),
        known_keys=roster.known_keys | {deny.device},
    )


# Going


def _remove(roster: Roster, entry: Signed[Entry], remove: Remove) -> Roster:
    cuts = {removal.device: removal.cut for removal in remove.removals}
    if cuts.keys() - roster.members.keys():
        raise Problem("no-such-member")
    if entry.signer in cuts:
        raise Problem("self-removal")
    left = roster
    for device, cut in cuts.items():
        left = _without(left, device, entry, remove.reason, cut)
    check_approvers_left(left, roster.role(entry.signer) == RECOVERY)
    after = _rotated(left, entry, remove.rotation)
    check_quorum(roster, entry, roster.policy.quorums[TO_REMOVE], remove.approvals, Subject(4, remove.removals), cuts.keys())
    return after


def _leave(roster: Roster, entry: Signed[Entry], leave: Leave) -> Roster:
    # It says of itself what counts: were that the end of others' records, a writer could undo them by leaving.
    after = _without(roster, entry.signer, entry, LEFT, replace(leave.cut, which=EARLIER))
    if roster.role(entry.signer) == APPROVER:
        check_approvers_left(after, by_recovery=False)
    return after


def _without(roster: Roster, device: bytes, entry: Signed[Entry], why: int, cut: Cut | None) -> Roster:
    """A device is a member until here."""
    members = {known: member for known, member in roster.members.items() if known != device}
    former = {**roster.former, device: Former(roster.members[device], entry.body.seq, entry.signer, why)}
    return replace(_silenced(roster, device, entry.body.seq, cut), members=members, former=former)


def _silenced(roster: Roster, device: bytes, seq: int, cut: Cut | None) -> Roster:
    """A device writes until here, if it did."""
    if not writes(roster.role(device)):
        return roster
    *before, span = roster.writing[device]
    return replace(roster, writing={**roster.writing, device: (*before, replace(span, until=seq, cut=cut))})


def _rotated(roster: Roster, entry: Signed[Entry], rotation: Rotation) -> Roster:
    """The roster in a new epoch, if the rotation holds. What else the entry changes, it has changed already."""
    if rotation.epoch != roster.epoch + 1:
        raise Problem("stale-epoch")
    if rotation.join_key in {epoch.join_key for epoch in roster.epochs.values()}:
        raise Problem("join-key-known")
    after = _with_recovery(roster, entry, rotation.recovery, rotation.epoch) if rotation.recovery else roster
    if set(rotation.devices) != after.members.keys():
        raise Problem("wrong-recipients")
    seq, join_key = entry.body.seq, rotation.join_key or roster.join_key
    epoch = Epoch(seq, rotation.key_id, join_key, entry.signer, roster.head, rotation)
    return replace(after, epochs={**roster.epochs, rotation.epoch: epoch})


def _with_recovery(roster: Roster, entry: Signed[Entry], device: Device, epoch: int) -> Roster:
    """Another recovery device in the place of the one before, if there was one."""
    _check_fresh(roster, device)
    if roster.role(entry.signer) != RECOVERY and roster.policy.highest_quorum > 1:
        raise Problem("quorum", "a recovery device fills quorums alone, and so would whoever brings one")
    seq = entry.body.seq
    for known, member in roster.members.items():
        if member.role == RECOVERY:
            roster = _without(roster, known, entry, REPLACED, None)
    member = Member(RECOVERY, seq, epoch, device.sealing, entry.signer, None)
    return replace(
        roster,
        members={**roster.members, device.signing: member},
        known_keys=roster.known_keys | {device.signing, device.sealing},
    )


# Changing


def _change_role(roster: Roster, entry: Signed[Entry], change: ChangeRole) -> Roster:
    member, seq = roster.members.get(change.device), entry.body.seq
    if member is None:
        raise Problem("no-such-member")
    if RECOVERY in (member.role, change.role):
        raise Problem("role-not-allowed")
    if member.role == change.role:
        raise Problem("nothing-changes")
    if (change.cut is not None) != (writes(member.role) and not writes(change.role)):
        raise Problem("bad-cut")
    after = _silenced(roster, change.device, seq, change.cut) if change.cut else roster
    if not writes(member.role):
        spans = (*roster.writing.get(change.device, ()), Span(seq))
        after = replace(after, writing={**roster.writing, change.device: spans})
    after = replace(after, members={**roster.members, change.device: replace(member, role=change.role)})
    if member.role == APPROVER:
        check_approvers_left(after, by_recovery=False)
    subject = Subject(7, RoleChange(change.device, change.role, change.cut))
    check_quorum(roster, entry, roster.policy.quorums[TO_CHANGE], change.approvals, subject, {change.device})
    return after


def _change_policy(roster: Roster, entry: Signed[Entry], change: ChangePolicy) -> Roster:
    check_policy(change.policy)
    if change.policy == roster.policy:
        raise Problem("nothing-changes")
    if roster.counted > change.policy.most_members:
        raise Problem("chain-full")
    after = replace(
        roster, in_force=InForce(change.policy, roster.epoch, roster.chain), policy_since=entry.body.seq
    )
    check_enough_approvers(after)
    check_quorum(roster, entry, roster.policy.quorums[TO_CHANGE], change.approvals, Subject(8, change.policy))
    return after


def _settle(roster: Roster, entry: Signed[Entry], settle: Settle) -> Roster:
    if settle.abandoned in roster.positions:
        raise Problem("not-abandoned", "an entry of this log")
    after = _rotated(roster, entry, settle.rotation)
    # It can undo whatever any quorum decided.
    subject = Subject(12, Abandoned(settle.abandoned))
    check_quorum(roster, entry, roster.policy.highest_quorum, settle.approvals, subject)
    agreed = (open_form(Approval, form).signer for form in settle.approvals)
    return replace(after, abandoned=(*roster.abandoned, (settle.abandoned, (entry.signer, *agreed))))


# Closing


def _closing(roster: Roster, entry: Signed[Entry], closing: Closing) -> Roster:
    if roster.closing:
        raise Problem("closing-open")
    check_quorum(roster, entry, roster.policy.quorums[TO_CLOSE], closing.approvals, Subject(9, Nothing()))
    return replace(roster, closing=StandingClosing(entry.hash, entry.body.seq, entry.signer, roster.policy.closing_delay))


def _veto(roster: Roster, veto: Veto) -> Roster:
    if veto.of != OF_CLOSING:
        return replace(roster, vetoed_resets=roster.vetoed_resets | {veto.hash})
    _check_stands(roster, veto.hash)
    return replace(roster, closing=None)


def _close(roster: Roster, close: Close) -> Roster:
    _check_stands(roster, close.closing)
    return replace(roster, closed=True)


def _check_stands(roster: Roster, closing: bytes) -> None:
    if roster.closing is None or roster.closing.hash != closing:
        raise Problem("no-such-closing")


