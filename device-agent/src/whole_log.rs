//! The whole log of a chain, for a device that has nothing of it yet.

use protocol::ChainId;
use protocol::entry::{Entry, EntryEvidence};
use protocol::keys::DeviceKeys;
use protocol::roster::Roster;
use protocol::signed::Verified;

use crate::core::next_of;
use crate::error::AgentError;
use crate::limits;
use crate::relay_client::RelayClient;

/// Reads the log page by page, each verified before the next is asked for: what a lying relay makes up ends it at once. `own` may be
/// the request that one of its entries holds.
pub(crate) async fn whole_log(
    relay: &RelayClient,
    keys: &DeviceKeys,
    chain: ChainId,
    own: Option<&EntryEvidence>,
) -> Result<(Vec<Verified<Entry>>, Roster), AgentError> {
    let lie = |what: &str| AgentError::Lie { what: what.to_owned() };
    let mut log: Vec<Verified<Entry>> = Vec::new();
    let mut roster: Option<Roster> = None;
    loop {
        let after = roster.as_ref().map(Roster::seq);
        let page = relay.log(keys, chain, after).await?;
        for bytes in &page.entries {
            let (entry, next) = next_of(roster.take(), bytes, own)?;
            if next.chain() != chain {
                return Err(lie("the log that the relay shows is of another chain"));
            }
            log.push(entry);
            roster = Some(next);
        }
        match roster {
            Some(roster) if page.entries.is_empty() || roster.seq() >= page.seq => return Ok((log, roster)),
            None => return Err(lie("this device is a member, but the relay shows an empty log")),
            Some(_) if log.len() >= limits::JOIN_LOG_ENTRIES => {
                return Err(lie("the log that the relay shows does not end"));
            }
            going_on => roster = going_on,
        }
    }
}
