//! Join requests: asked, withdrawn, decided, and what each side is told of them.
//!
//! A request that was denied, muted or blocked, or whose sync code was replaced, is shown to no member and looks to its joiner as if nobody had looked at it: the
//! same answers, the same slot, until its lifetime ends. Whoever probes with a stolen sync code must not learn that it was noticed.

mod ask;
mod told;

use protocol::entry::Deny;
use protocol::request::Withdrawal;
use protocol::roster::{Outcome, Roster};
use protocol::wire::Purpose;
use protocol::{ChainId, DeviceId, JoinKey, RequestId, Verified};
use rusqlite::{OptionalExtension as _, Row, params};

pub use ask::{Asked, Origin, ask};
pub use told::{Open, open, standing};

use super::chains::Change;
use super::{Tx, int, uint};
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// What the log says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// Nothing.
    Not,
    /// It admits the device.
    Admitted,
    /// It denies the request.
    Denied,
}

impl Decided {
    /// What a roster says of a request.
    pub(super) fn by(roster: &Roster, id: &RequestId) -> Self {
        roster.decision(id).map_or(Self::Not, |decision| match decision.outcome {
            Outcome::Admitted => Self::Admitted,
            Outcome::Denied(_) => Self::Denied,
        })
    }

    /// As the column `decision` has it.
    fn number(self) -> i64 {
        match self {
            Self::Not => 0,
            Self::Admitted => 1,
            Self::Denied => 2,
        }
    }

    fn of_number(number: i64) -> Self {
        match number {
            0 => Self::Not,
            1 => Self::Admitted,
            _ => Self::Denied,
        }
    }
}

/// Whether members are shown a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// They are.
    ToMembers,
    /// Nobody is: too many prompts today, a blocked address, a device that was denied before, or a sync code that was replaced.
    ToNobody,
}

/// Whether the joiner took its request back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It still asks.
    Asking,
    /// It withdrew.
    Withdrawn,
}

/// A request as the store has it, without its bytes.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its number in this store.
    pub number: i64,
    /// Its id.
    pub id: RequestId,
    /// Its chain's number.
    pub chain: i64,
    /// Who asks.
    pub device: DeviceId,
    begun: u64,
    lifetime: u64,
    /// Whether members are shown it.
    pub shown: Shown,
    /// What the log says of it.
    pub decided: Decided,
    /// Whether it was withdrawn.
    pub kept: Kept,
}

/// The columns of [`Request`], in the order that [`Request::from_row`] reads.
const COLUMNS: &str = "number, id, chain, device, begun, lifetime, muted, decision, withdrawal IS NOT NULL";

impl Request {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (muted, decision, withdrawn): (bool, i64, bool) = (row.get(6)?, row.get(7)?, row.get(8)?);
        Ok(Self {
            number: row.get(0)?,
            id: RequestId(row.get(1)?),
            chain: row.get(2)?,
            device: DeviceId(row.get(3)?),
            begun: uint(row.get(4)?),
            lifetime: uint(row.get(5)?),
            shown: if muted { Shown::ToNobody } else { Shown::ToMembers },
            decided: Decided::of_number(decision),
            kept: if withdrawn { Kept::Withdrawn } else { Kept::Asking },
        })
    }

    /// Milliseconds of its lifetime that are left. A clock that was set back adds none.
    #[must_use]
    pub fn remaining(&self, now: Moment) -> u64 {
        self.lifetime.saturating_sub(now.steady.saturating_sub(self.begun))
    }

    /// Whether a member may still act on it.
    #[must_use]
    pub fn is_open(&self, now: Moment) -> bool {
        self.shown == Shown::ToMembers && self.decided == Decided::Not && self.seems_open(now)
    }

    /// Whether its joiner may still believe so.
    #[must_use]
    pub fn seems_open(&self, now: Moment) -> bool {
        self.decided != Decided::Admitted && self.kept == Kept::Asking && self.remaining(now) > 0
    }
}

/// Finds a request.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn find(tx: Tx<'_>, id: &RequestId) -> Result<Option<Request>, Failure> {
    let mut statement = tx.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM requests WHERE id = ?1"))?;
    Ok(statement.query_row([id.as_bytes()], Request::from_row).optional()?)
}

/// Finds a request of a chain that members may know of. A muted one is unknown to them on every route, or a thief with a device inside
/// could probe for it.
pub(super) fn find_visible(tx: Tx<'_>, chain: i64, id: &RequestId) -> Result<Request, Failure> {
    let visible = |request: &Request| request.chain == chain && request.shown == Shown::ToMembers;
    find(tx, id)?.filter(visible).ok_or_else(|| Refusal::RequestUnknown.into())
}

/// Takes a request back. A withdrawn request frees its slot, whatever became of it: a slot that stayed would tell its joiner
/// that it had been denied.
///
/// # Errors
///
/// [`Refusal::RequestUnknown`] also for another device's request, [`Refusal::RequestClosed`], or a [`Failure`] of the store.
pub fn withdraw(tx: Tx<'_>, withdrawal: &Verified<Withdrawal>, now: Moment) -> Result<(ChainId, Change), Failure> {
    let request = find(tx, &withdrawal.request)?.ok_or(Refusal::RequestUnknown)?;
    if request.device != withdrawal.signer() {
        return Err(Refusal::RequestUnknown.into());
    }
    let chain = chain_of(tx, &request)?;
    if request.kept == Kept::Withdrawn {
        return Ok((chain, Change::Replay));
    }
    if !request.seems_open(now) {
        return Err(Refusal::RequestClosed.into());
    }
    tx.sql
        .prepare_cached("UPDATE requests SET withdrawal = ?2 WHERE number = ?1")?
        .execute(params![request.number, &withdrawal.bytes()[..]])?;
    Ok((chain, Change::Fresh))
}

/// The log admits a request. Expired and withdrawn ones are stopped here: expiry is no rule of the log, but either of relay and
/// approver that counts it as over stops the approval.
pub(super) fn admit(tx: Tx<'_>, chain: i64, id: &RequestId, purpose: Purpose, now: Moment) -> Result<(), Failure> {
    let request = find(tx, id)?.filter(|request| request.chain == chain);
    // What is healed was taken once, also where its device withdrew since: a relay that lost the admission took the withdrawal of what
    // it still had as open, and would refuse for ever whoever has pinned it.
    if purpose == Purpose::New {
        match &request {
            // A muted request was never shown, so no honest device admits it.
            None => return Err(Refusal::RequestUnknown.into()),
            Some(request) if request.shown == Shown::ToNobody => return Err(Refusal::RequestUnknown.into()),
            Some(request) if !request.is_open(now) => return Err(Refusal::RequestClosed.into()),
            Some(_) => {}
        }
    }
    request.map_or(Ok(()), |request| decide(tx, request.number, Decided::Admitted))
}

/// The log denies a request, and may block the address range that it came from.
pub(super) fn deny(tx: Tx<'_>, chain: i64, deny: &Deny, now: Moment) -> Result<(), Failure> {
    let Some(request) = find(tx, &deny.request)?.filter(|request| request.chain == chain) else {
        return Ok(());
    };
    if deny.block > 0 {
        tx.sql
            .prepare_cached(
                "INSERT INTO blocks (join_key, net, until) SELECT join_key, net, ?2 FROM requests WHERE number = ?1
                 ON CONFLICT (join_key, net) DO UPDATE SET until = max(until, excluded.until)",
            )?
            .execute(params![request.number, int(now.steady + u64::from(deny.block) * 1000)])?;
    }
    decide(tx, request.number, Decided::Denied)
}

/// What was asked with another sync code than this one is dead: members see it no more, and its joiner notices nothing. What only
/// another branch of the log had muted so is open again.
pub(super) fn follow_join_key(tx: Tx<'_>, chain: i64, current: &JoinKey) -> Result<(), Failure> {
    tx.sql
        .prepare_cached(
            "UPDATE requests SET muted = CASE join_key WHEN (SELECT number FROM join_keys WHERE key = ?2) THEN 0 ELSE 2 END
             WHERE chain = ?1 AND decision = 0 AND muted <> 1",
        )?
        .execute(params![chain, current.as_bytes()])?;
    Ok(())
}

pub(super) fn decide(tx: Tx<'_>, number: i64, decided: Decided) -> Result<(), Failure> {
    tx.sql
        .prepare_cached("UPDATE requests SET decision = ?2 WHERE number = ?1")?
        .execute(params![number, decided.number()])?;
    Ok(())
}

/// The chain whose join key a request was made with.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn chain_of(tx: Tx<'_>, request: &Request) -> Result<ChainId, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT id FROM chains WHERE number = ?1")?;
    Ok(statement.query_row([request.chain], |row| row.get(0).map(ChainId))?)
}
