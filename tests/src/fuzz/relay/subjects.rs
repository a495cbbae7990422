//! What members decide about each other: cuts, roles, policies, and what several of them must agree to.

use protocol::approval::{AdmitSubject, Approval, RoleSubject, Subject};
use protocol::cbor::Blob;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::policy::{How, Policy, Quorums, Role};
use protocol::record::Line;
use protocol::roster::Roster;
use protocol::{DeviceId, Verified};

use super::World;

/// Approvers that decisions need: to admit, to remove, to change the policy, to close.
const QUORUMS: [[u8; 4]; 8] =
    [[1; 4], [2, 1, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], [1, 1, 1, 2], [2; 4], [3, 1, 1, 1], [0, 1, 1, 1]];
const WEEK: u32 = 7 * 24 * 60 * 60;
/// Seconds of closings and resets: the last is more than a policy may name.
const DELAYS: [u32; 4] = [WEEK, 60, 0, 53 * WEEK];

/// A role by its number.
pub(super) fn role(byte: u8) -> Role {
    [Role::Approver, Role::Writer, Role::Reader, Role::Recovery][usize::from(byte) % 4]
}

/// Another policy: bits name quorums, delays, and one thing besides.
pub(super) fn policy(current: &Policy, byte: u8) -> Policy {
    let [admit, remove, policy, closing] = QUORUMS[usize::from(byte % 8)];
    let delay = DELAYS[usize::from(byte >> 3) % 4];
    let quorums = Quorums { admit, remove, policy, closing };
    let other = Policy { quorums, closing_delay: delay, reset_delay: delay, ..current.clone() };
    match byte >> 5 {
        0..=2 => other,
        3 => Policy { ways: vec![How::Typed, How::None], ..other },
        4 => Policy { members_max: 2, ..other },
        5 => Policy { ways: vec![How::Typed, How::Ticket], ..other },
        6 => Policy { ways: Vec::new(), ..other },
        _ => Policy { request_lifetime: 1, ..other },
    }
}

impl World {
    /// The end of a device's line: where it is or at its beginning, said to be the last or on purpose earlier.
    pub(super) fn cut(&self, roster: &Roster, device: &DeviceId, how: u8) -> Cut {
        let line = self.book.known(&roster.chain()).map(|chain| chain.line(device)).unwrap_or_default();
        let line = if how & 2 == 0 { line } else { Line::default() };
        let at = if how & 1 == 0 { CutAt::Last } else { CutAt::Earlier };
        Cut { counter: line.counter, last: line.last, at }
    }

    /// One device or two that are to go.
    pub(super) fn removals(&self, roster: &Roster, which: u8, how: u8) -> Vec<Removal> {
        let mut devices = [which, which >> 3].map(|which| self.cast.device(which).keys.id()).to_vec();
        if which & 0x40 != 0 {
            devices[0] = self.cast.papers[0].id();
        }
        devices.sort_unstable();
        devices.dedup();
        devices.into_iter().map(|device| Removal { device, cut: self.cut(roster, &device, how) }).collect()
    }

    /// What approvers agree to, by the kind of the entry.
    pub(super) fn subject(&self, roster: &Roster, kind: u8, which: u8, how: u8) -> Subject {
        match kind {
            0 => Subject::Admit(AdmitSubject { request: self.cast.asking(which).form.id(), role: role(how >> 2) }),
            1 => Subject::Remove(self.removals(roster, which, how)),
            2 => {
                let (device, new) = (self.cast.device(which).keys.id(), role(which >> 3));
                let wrote = roster.member(&device).is_some_and(|member| member.role.writes());
                let cut = (wrote && !new.writes()) != (how & 4 != 0);
                let cut = cut.then(|| self.cut(roster, &device, how));
                Subject::Role(RoleSubject { device, role: new, cut })
            }
            3 => Subject::Policy(Box::new(policy(roster.policy(), which))),
            _ => Subject::Closing,
        }
    }

    /// The approvals that an entry needs; with the highest bit all that there are, whether they count or not.
    pub(super) fn approvals_for(&self, roster: &Roster, by: DeviceId, subject: &Subject, how: u8) -> Vec<Blob> {
        let quorums = roster.policy().quorums;
        let quorum = match subject {
            Subject::Admit(_) => quorums.admit,
            Subject::Remove(_) => quorums.remove,
            Subject::Role(_) | Subject::Policy(_) => quorums.policy,
            Subject::Closing => quorums.closing,
            Subject::Settle(_) => quorums.most(),
        };
        let lax = how & 0x80 != 0;
        let mut found: Vec<&Verified<Approval>> = self.approvals.iter().collect();
        found.retain(|approval| {
            approval.subject == *subject
                && (lax || roster.counts(approval, &approval.signer()) && approval.signer() != by)
        });
        found.sort_by_key(|approval| approval.signer());
        if !lax {
            found.dedup_by_key(|approval| approval.signer());
            let by_recovery = roster.member(&by).is_some_and(|member| member.role == Role::Recovery);
            found.truncate(if by_recovery { 0 } else { usize::from(quorum).saturating_sub(1) });
        }
        found.into_iter().map(|approval| Blob(approval.bytes().to_vec())).collect()
    }
}
