//! One read of what is new for a member, in one snapshot, behind one check of its membership.

use std::time::Duration;

use protocol::limits;
use protocol::wire::{Ended, Ending, LogPage, ResetStanding};
use protocol::{ChainId, DeviceId, Hash, RequestId};
use tokio::time::Instant;

use crate::clock::{self, Moment};
use crate::failure::Failure;
use crate::registry::News;
use crate::store::feed::Feed;
use crate::store::requests::{self, Decided, Kept, Open};
use crate::store::{Tx, approvals, chains, log, resets};

/// A request that a member was shown, as far as a change must be noticed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) id: RequestId,
    rounds: usize,
    reveals: usize,
    /// When its lifetime is over.
    pub(super) until: Instant,
}

impl Shown {
    pub(super) fn new(open: &Open) -> Self {
        let rounds = &open.request.rounds;
        Self {
            id: open.id,
            rounds: rounds.len(),
            reveals: rounds.iter().filter(|round| round.reveal.is_some()).count(),
            // A millisecond later, so that the read that follows finds it expired.
            until: clock::instant() + Duration::from_millis(open.request.remaining + 1),
        }
    }

    /// Whether a member that saw the one need not be sent the other.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        (self.rounds, self.reveals) == (other.rounds, other.reveals)
    }
}

/// What is to be read.
#[derive(Debug)]
pub(super) struct Reading {
    log_after: Option<u64>,
    records_after: Option<u64>,
    shown: Option<Vec<RequestId>>,
    /// Beside requests: the number of the last approval that was told.
    approvals_after: i64,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    /// How often a fork was settled.
    pub(super) branch: u64,
    pub(super) entries: Option<LogPage>,
    pub(super) requests: Option<Vec<Open>>,
    pub(super) ended: Vec<Ended>,
    pub(super) approvals: Vec<approvals::Kept>,
    pub(super) reset: Option<(Hash, ResetStanding)>,
    pub(super) records: Option<Feed>,
}

impl Reading {
    /// What is due and fits the window: entries first.
    pub(super) fn of(due: News, room: u8, (log, record): (u64, u64), shown: &[Shown], approval: i64) -> Self {
        let room_for_records = room > u8::from(due.has(News::LOG));
        Self {
            log_after: (due.has(News::LOG) && room > 0).then_some(log),
            records_after: (due.has(News::RECORDS) && room_for_records).then_some(record),
            shown: due.has(News::REQUESTS).then(|| shown.iter().map(|shown| shown.id).collect()),
            approvals_after: approval,
        }
    }

    /// After which number records are to be read, if nothing else is. Entries and records are read in one snapshot: a device must
    /// be able to follow who signed.
    pub(super) fn records_alone(&self) -> Option<u64> {
        self.records_after.filter(|_| self.log_after.is_none() && self.shown.is_none())
    }

    /// Reads it.
    pub(super) fn read(self, tx: Tx<'_>, chain: &ChainId, device: &DeviceId, now: Moment) -> Result<Read, Failure> {
        let (chain, _) = chains::for_member(tx, chain, device)?;
        let page = |after| log::page(tx, &chain, Some(after), limits::PAGE_ITEMS_MAX);
        let entries = self.log_after.map(page).transpose()?;
        let requests = self.shown.as_ref().map(|_| requests::open(tx, chain.number, now)).transpose()?;
        let mut ended = Vec::new();
        for id in self.shown.iter().flatten() {
            if !requests.iter().flatten().any(|open| open.id == *id) {
                ended.push(Ended { request: *id, ending: ending(tx, id)? });
            }
        }
        let (approvals, reset) = match &self.shown {
            Some(_) => (approvals::kept(tx, &chain, self.approvals_after, now)?, resets::standing(tx, &chain, now)?),
            None => (Vec::new(), None),
        };
        let records = self.records_after.map(|after| Feed::read(tx, &chain, after)).transpose()?;
        Ok(Read { branch: chain.branch, entries, requests, ended, approvals, reset, records })
    }
}

/// Why a request is no longer open.
fn ending(tx: Tx<'_>, id: &RequestId) -> Result<Ending, Failure> {
    Ok(match requests::find(tx, id)?.map(|request| (request.decided, request.kept)) {
        Some((Decided::Admitted | Decided::Denied, _)) => Ending::Decided,
        Some((_, Kept::Withdrawn)) => Ending::Withdrawn,
        _ => Ending::Expired,
    })
}
