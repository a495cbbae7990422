//! Approvals that wait for the entry they are put into, as they must be.

use countersign_relay::clock::Moment;
use protocol::approval::{Approval, Subject};
use protocol::cbor::Blob;
use protocol::entry::Body;
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
        let cited = chain.roster.position(&approval.head).ok_or("unknown-head")?;
        let voice = !approval.subject.devices().contains(&signer);
        ask(cited.seq >= chain.changed() && voice, "approval-void")?;
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
    /// Position of the last entry that approvals do not outlive.
    fn changed(&self) -> u64 {
        self.log.iter().rev().find(|entry| !matches!(entry.body, Body::Deny(_))).expect("a founding").seq
    }
}

/// The request that an approval is about.
fn request_of(approval: &Approval) -> Option<RequestId> {
    match &approval.subject {
        Subject::Admit(subject) => Some(subject.request),
        _ => None,
    }
}
