//! Approvals that wait for the entry they are put into, as they must be.

use countersign_relay::clock::Moment;
use protocol::approval::{Approval, Subject};
use protocol::cbor::Blob;
use protocol::entry::{Body, Entry, VetoOf};
use protocol::{RequestId, Verified, limits};

use super::refused::ask;
use super::{Book, Chain, Taken};

impl Book {
    pub(super) fn approve(&mut self, bytes: &[u8], now: Moment) -> Taken<()> {
        let approval = Verified::<Approval>::from_bytes(bytes)?;
        let signer = approval.signer();
        let at = self.acting(&approval.chain, &signer)?;
        let chain = &self.chains[at];
        ask(chain.roster.approver(&signer).is_some(), "not-an-approver")?;
        if chain.approvals.iter().any(|kept| kept.hash() == approval.hash()) {
            return Ok(());
        }
        match (chain.roster.position(&approval.head), &approval.subject) {
            (None, Subject::Settle(settle)) if chain.roster.position(&settle.abandoned).is_some() => {}
            (None, _) => return Err("unknown-head".into()),
            (Some(_), _) => ask(chain.counts(&approval), "approval-void")?,
        }
        if let Some(request) = request_of(&approval) {
            let visible = self.visible(&chain.roster.chain(), &request).ok_or("request-unknown")?;
            ask(self.is_open(visible, now), "request-closed")?;
        }
        let mut kept: Vec<_> = self.wanted(chain, now).cloned().collect();
        let own = kept.iter().filter(|kept| kept.signer() == signer).count();
        if own >= limits::APPROVALS_OF_ONE_MAX {
            let oldest = kept.iter().position(|kept| kept.signer() == signer).expect("it has some");
            kept.remove(oldest);
        }
        if kept.len() >= limits::APPROVALS_KEPT_MAX {
            return Err("too-many-approvals".into());
        }
        let chain = &mut self.chains[at];
        chain.told.push(Blob(approval.bytes().to_vec()));
        kept.push(approval);
        chain.approvals = kept;
        Ok(())
    }

    /// The approvals of a chain that members are told of, the oldest first.
    pub(in crate::fuzz::relay) fn wanted<'a>(
        &'a self,
        chain: &'a Chain,
        now: Moment,
    ) -> impl Iterator<Item = &'a Verified<Approval>> {
        let wanted = move |approval: &&Verified<Approval>| {
            let request = request_of(approval);
            request.is_none_or(|id| self.asked(&id).is_some_and(|asked| self.is_open(asked, now)))
        };
        chain.approvals.iter().filter(wanted)
    }
}

impl Chain {
    /// Whether an approval counts in the next entry.
    pub(super) fn counts(&self, approval: &Verified<Approval>) -> bool {
        let outlived = |entry: &Entry| match &entry.body {
            Body::Deny(_) => true,
            Body::Veto(veto) => veto.of == VetoOf::Reset,
            Body::Rotate(rotate) => {
                rotate.rotation.recovery.is_none() && matches!(approval.subject, Subject::Remove(_))
            }
            _ => false,
        };
        let lapsed = self.log.iter().rev().find(|entry| !outlived(entry)).expect("a founding").seq;
        let cited = self.roster.position(&approval.head);
        self.roster.approver(&approval.signer()).is_some()
            && cited.is_some_and(|cited| cited.seq >= lapsed)
            && !approval.subject.devices().contains(&approval.signer())
    }
}

/// The request that an approval is about.
fn request_of(approval: &Approval) -> Option<RequestId> {
    match &approval.subject {
        Subject::Admit(subject) => Some(subject.request),
        _ => None,
    }
}
