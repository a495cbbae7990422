//! New records of a chain, read once for all of its sessions that stand at the same place.
//!
//! A push to a hundred devices would be a hundred reads of the same rows. Whoever comes first reads and encodes; the others are
//! handed the same bytes behind the check that their own read would make: membership, in the roster of that snapshot. What was read
//! is used only until the next commit of any chain, so nobody is handed what a read now would not find, and for a device nothing is
//! read from the acknowledgement of its removal on. What was being written to its socket by then may still arrive.

use std::sync::Arc;

use protocol::roster::Roster;
use protocol::wire::{RecordPage, ToDevice};
use protocol::{ChainId, DeviceId, limits};

use super::{Store, Tx, chains, records};
use crate::failure::{Failure, Refusal};

/// Bytes of messages kept: between this many and twice as many. A push is over in a moment.
pub(super) const KEPT: usize = 256 * 1024;

/// A page of the feed, as it is sent.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Number of the last record in it.
    pub number: u64,
    /// Number of the last record that there is.
    pub last: u64,
    /// The message, unless there is nothing new.
    pub message: Option<Arc<[u8]>>,
}

/// A page and who may have it, until a commit.
#[derive(Debug)]
pub(super) struct Shared {
    commits: u64,
    roster: Arc<Roster>,
    feed: Feed,
}

impl From<RecordPage> for Feed {
    fn from(page: RecordPage) -> Self {
        let (number, last, is_empty) = (page.cursor.number, page.last, page.rows.is_empty());
        Self { number, last, message: (!is_empty).then(|| ToDevice::Records(page).to_bytes().into()) }
    }
}

impl Feed {
    /// A page of the feed after a number, in a snapshot.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the store.
    pub fn read(tx: Tx<'_>, chain: &chains::Chain, after: u64) -> Result<Self, Failure> {
        records::page(tx, chain, after, limits::PAGE_ITEMS_MAX).map(Self::from)
    }
}

impl Store {
    /// A page of the feed after a number, for a member.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAMember`], or a [`Failure`] of the store.
    pub async fn feed(&self, chain: ChainId, device: DeviceId, after: u64) -> Result<Feed, Failure> {
        // Looked at before the snapshot begins: a commit in between makes what is read here look older than it is, never newer.
        let commits = self.writer.commits();
        if let Some(shared) = self.feeds.find(&(chain, after)).filter(|shared| shared.commits == commits) {
            let is_member = shared.roster.member(&device).is_some();
            return if is_member { Ok(shared.feed.clone()) } else { Err(Refusal::NotAMember.into()) };
        }
        let read = move |tx: Tx<'_>| {
            let (chain, roster) = chains::for_member(tx, &chain, &device)?;
            Ok((Feed::read(tx, &chain, after)?, roster))
        };
        let (feed, roster) = self.glance(Some(chain), read).await?;
        let weight = size_of::<Shared>() + feed.message.as_ref().map_or(0, |message| message.len());
        let shared = Shared { commits, roster, feed: feed.clone() };
        self.feeds.keep_weighing((chain, after), Arc::new(shared), weight);
        Ok(feed)
    }
}
