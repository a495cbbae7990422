//! What the two sides are told of a request.

use protocol::wire::{self, OpenRequest, Round, Stage, Standing};
use protocol::{RequestId, limits};
use rusqlite::params;

use super::super::{Tx, chains, int, uint};
use super::{COLUMNS, Decided, Kept, Request, chain_of};
use crate::clock::{Moment, millis};
use crate::failure::Failure;

/// An open request with its id, for whoever keeps track of what it has shown.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its id.
    pub id: RequestId,
    /// What members are shown.
    pub request: OpenRequest,
}

/// What a joiner is told. Whether a member is online is filled in by the caller.
///
/// # Errors
///
/// [`Refusal::NotAMember`](crate::failure::Refusal::NotAMember) for a device that was admitted and is a member no more: it is told nothing, not even who is online. Or a
/// [`Failure`] of the store.
pub fn standing(tx: Tx<'_>, request: &Request, now: Moment) -> Result<Standing, Failure> {
    if request.decided == Decided::Admitted {
        chains::for_member(tx, &chain_of(tx, request)?, &request.device)?;
    }
    let nonces: Vec<_> = rounds(tx, request.number)?.into_iter().map(|round| round.nonce).collect();
    let remaining = request.remaining(now);
    // A denial is not looked at here: the answer after it must be, byte for byte, the one before.
    let stage = match (request.kept, request.decided) {
        (Kept::Withdrawn, _) => Stage::Withdrawn,
        (Kept::Asking, Decided::Admitted) => Stage::Admitted,
        _ if remaining == 0 => Stage::Expired,
        _ if nonces.is_empty() => Stage::Waiting,
        _ => Stage::Code,
    };
    // Who was shown a code knows the chain by its nonce; who was let in otherwise could not even ask for the log.
    let untold = stage == Stage::Admitted && nonces.is_empty();
    let chain = if untold { Some(chain_of(tx, request)?) } else { None };
    Ok(Standing { request: request.id, stage, remaining, online: false, nonces, chain })
}

/// Every open request of a chain, oldest first, as members see it.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn open(tx: Tx<'_>, chain: i64, now: Moment) -> Result<Vec<Open>, Failure> {
    let mut statement = tx.sql.prepare_cached(&format!(
        "SELECT {COLUMNS}, bytes, description, address, proxy, seen_at FROM requests
         WHERE chain = ?1 AND begun > ?2 AND muted = 0 AND decision = 0 AND withdrawal IS NULL ORDER BY number"
    ))?;
    let since = now.steady.saturating_sub(millis(limits::REQUEST_LIFETIME_RANGE.1));
    let mut rows = statement.query(params![chain, int(since)])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let request = Request::from_row(row)?;
        if !request.is_open(now) {
            continue;
        }
        let bytes: Vec<u8> = row.get(9)?;
        let description: Vec<u8> = row.get(10)?;
        let rounds = rounds(tx, request.number)?;
        open.push(Open {
            id: request.id,
            request: OpenRequest {
                request: bytes.into(),
                description: description.into(),
                seen: wire::Seen { address: row.get(11)?, proxy: row.get(12)?, at: uint(row.get(13)?) },
                remaining: request.remaining(now),
                rounds,
            },
        });
    }
    Ok(open)
}

/// The rounds of a request, in order.
fn rounds(tx: Tx<'_>, request: i64) -> Result<Vec<Round>, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT nonce, reveal FROM rounds WHERE request = ?1 ORDER BY round")?;
    let rows = statement.query_map([request], |row| {
        let nonce: Vec<u8> = row.get(0)?;
        let reveal: Option<Vec<u8>> = row.get(1)?;
        Ok(Round { nonce: nonce.into(), reveal: reveal.map(Into::into) })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
