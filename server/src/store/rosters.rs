//! The roster at a head, computed once.

use std::sync::Arc;

use protocol::entry::{Body, Entry, EntryEvidence};
use protocol::error::FormError;
use protocol::request::JoinRequest;
use protocol::roster::Roster;
use protocol::round::Nonce;
use protocol::{Hash, Signed, Verified};

use crate::recent::Recent;

/// Requests and nonces kept in memory: each between this many and twice as many.
const KEPT: usize = 512;
/// Entries of the logs whose rosters are kept: between this many and twice as many, each some hundred bytes to a kilobyte. To
/// make a roster anew takes three verifications for each entry of its log, in the thread that writes: with rosters for fewer
/// chains than write by turns, a write among 10,000 devices costs seven times one among 1,000.
const ENTRIES_KEPT: usize = 32_768;

/// What was verified lately, by hash.
///
/// It can be filled before a commit: a value follows from its hash alone, and which head is current only the store says.
#[derive(Debug)]
pub struct Rosters {
    at: Recent<Hash, Arc<Roster>>,
    requests: Recent<Hash, Arc<Verified<JoinRequest>>>,
    nonces: Recent<Hash, Arc<Verified<Nonce>>>,
}

impl Default for Rosters {
    fn default() -> Self {
        Self { at: Recent::new(ENTRIES_KEPT), requests: Recent::new(KEPT), nonces: Recent::new(KEPT) }
    }
}

impl Rosters {
    /// The roster at a head, if it was used lately.
    pub fn find(&self, head: &Hash) -> Option<Arc<Roster>> {
        self.at.find(head)
    }

    /// Keeps a roster.
    pub fn keep(&self, roster: Roster) -> Arc<Roster> {
        let roster = Arc::new(roster);
        let entries = usize::try_from(roster.seq()).unwrap_or(usize::MAX).saturating_add(1);
        self.at.keep_weighing(roster.head(), Arc::clone(&roster), entries);
        roster
    }

    /// Computes a roster from stored entries, verifying each again: a file that somebody changed must not make members.
    #[must_use]
    pub fn rebuild(entries: &[Vec<u8>]) -> Option<Roster> {
        let mut entries = entries.iter().map(|bytes| Verified::<Entry>::from_bytes(bytes));
        let first = Roster::found(&entries.next()?.ok()?).ok()?;
        entries.try_fold(first, |roster, entry| roster.apply(&entry.ok()?).ok())
    }

    /// Verifies an entry. The request inside an admit was verified when it was asked; the same bytes are not verified again.
    ///
    /// # Errors
    ///
    /// [`FormError`] naming what does not hold.
    pub fn verify(&self, bytes: &[u8]) -> Result<Verified<Entry>, FormError> {
        let entry = Signed::<Entry>::decode(bytes)?;
        let Body::Admit(admit) = &entry.claimed().body else { return entry.verify() };
        // By the hash of what it claims; whether the bytes are those that were verified, the form itself compares.
        let known =
            Signed::<JoinRequest>::decode(&admit.request).ok().and_then(|request| self.requests.find(&request.hash()));
        entry.verify_knowing(known.map(EntryEvidence::of).as_ref())
    }

    /// Keeps a request that was verified.
    pub fn keep_request(&self, request: Arc<Verified<JoinRequest>>) {
        self.requests.keep(request.hash(), request);
    }

    /// The verified request of stored bytes.
    pub fn request(&self, id: Hash, bytes: &[u8]) -> Option<Arc<Verified<JoinRequest>>> {
        self.requests.find(&id).or_else(|| Verified::from_bytes(bytes).ok().map(Arc::new))
    }

    /// Keeps a nonce that was verified.
    pub fn keep_nonce(&self, nonce: Arc<Verified<Nonce>>) {
        self.nonces.keep(nonce.hash(), nonce);
    }

    /// The verified nonce of stored bytes.
    pub fn nonce(&self, hash: Hash, bytes: &[u8]) -> Option<Arc<Verified<Nonce>>> {
        self.nonces.find(&hash).or_else(|| Verified::from_bytes(bytes).ok().map(Arc::new))
    }
}
