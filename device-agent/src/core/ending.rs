//! The end of a chain: announced, stopped, carried out.

use protocol::approval::Subject;
use protocol::change;
use protocol::entry::{Body, Entry, VetoOf};
use protocol::signed::Verified;
use protocol::{Hash, roster};

use super::Core;
use super::view::ClosingView;
use crate::clock;
use crate::error::AgentError;

impl Core {
    /// Ends where the chain has ended: nothing in it changes any more.
    pub(super) fn must_go_on(&self) -> Result<(), AgentError> {
        if self.roster.is_closed() { Err(AgentError::Closed) } else { Ok(()) }
    }

    /// Signs and keeps the announcement that the chain is to end.
    pub(crate) fn announce_end(&mut self) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        let approvals = self.approvals_for(&Subject::Closing);
        let entry = change::closing(self.acting(), approvals, clock::now()).map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Signs and keeps the end of the chain, as long as the announcement stands that a person looked at.
    pub(crate) fn end(&mut self, closing: Hash) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        if self.roster.closing().is_none_or(|standing| standing.hash != closing) {
            return Err(AgentError::ChangedMeanwhile);
        }
        let entry = change::close(self.acting(), closing, clock::now()).map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Signs and keeps that an announced end, or reset, is stopped. Nothing where another device has done it.
    pub(crate) fn veto(&mut self, of: VetoOf, hash: Hash) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        if self.vetoed(of, &hash).is_some() {
            return Ok(Vec::new());
        }
        let entry = change::veto(self.acting(), of, hash, clock::now()).map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Position of the entry that stopped it.
    pub(crate) fn vetoed(&self, of: VetoOf, hash: &Hash) -> Option<u64> {
        let stops =
            |entry: &&Verified<Entry>| matches!(&entry.body, Body::Veto(veto) if veto.of == of && veto.hash == *hash);
        self.log.iter().rev().find(stops).map(|entry| entry.seq)
    }

    /// The announcement that stands, if one does.
    pub(crate) fn closing(&self) -> Option<ClosingView> {
        let roster::ClosingTerms { hash, by, seq, delay, at } = *self.roster.closing()?;
        (!self.roster.is_closed()).then(|| ClosingView {
            id: hash.to_string(),
            by: self.bare_name_of(&by),
            here: self.here(&by),
            seq,
            at,
            delay,
            due_at: at.saturating_add(u64::from(delay) * 1000),
        })
    }

    /// Position of the entry that ended the chain.
    pub(crate) fn closed_at(&self) -> Option<u64> {
        self.roster.is_closed().then(|| self.roster.seq())
    }
}
