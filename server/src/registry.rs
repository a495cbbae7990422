//! Who is connected, and how a session learns that there is something to read.
//!
//! A wake-up carries no content: each session reads the store itself, with its membership checked in that read. So nothing is
//! queued for a session, a slow one costs no memory, and a removed device is sent nothing, whoever woke it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::ChainId;
use protocol::connect::Standing;
use tokio::sync::Notify;

/// What changed, as bits of one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News(u8);

impl News {
    /// Entries of the log.
    pub const LOG: Self = Self(1);
    /// Records.
    pub const RECORDS: Self = Self(2);
    /// Requests, their rounds, or what their joiners are told.
    pub const REQUESTS: Self = Self(4);
    /// Everything.
    pub const ALL: Self = Self(7);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What is left without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Where one session is woken.
#[derive(Debug, Default)]
struct Bell {
    news: AtomicU8,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Connected {
    bells: HashMap<u64, (Standing, Arc<Bell>)>,
    members: usize,
}

/// All sessions, by chain.
#[derive(Debug, Default)]
pub struct Registry {
    next: AtomicU64,
    chains: Mutex<HashMap<ChainId, Connected>>,
}

/// A session's place in the registry. Dropping it removes exactly this session.
#[derive(Debug)]
#[must_use = "a session is connected as long as this lives"]
pub struct Seat {
    registry: Arc<Registry>,
    chain: ChainId,
    number: u64,
    bell: Arc<Bell>,
}

impl Registry {
    /// Registers a session. Its first wake-up is for everything, so it may register before it reads, and misses nothing.
    pub fn register(self: &Arc<Self>, chain: ChainId, standing: Standing) -> Seat {
        let bell = Arc::new(Bell { news: AtomicU8::new(News::ALL.0), notify: Notify::new() });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut chains = self.lock();
        let connected = chains.entry(chain).or_default();
        connected.bells.insert(number, (standing, Arc::clone(&bell)));
        if standing == Standing::Member {
            connected.members += 1;
            if connected.members == 1 {
                connected.ring(News::REQUESTS, Some(Standing::Joiner));
            }
        }
        drop(chains);
        Seat { registry: Arc::clone(self), chain, number, bell }
    }

    /// Wakes every session of a chain. Called after the change is durable.
    pub fn wake(&self, chain: &ChainId, news: News) {
        if let Some(connected) = self.lock().get(chain) {
            connected.ring(news, None);
        }
    }

    /// Wakes the members of a chain, where a change shows in nothing that a joiner is told.
    pub fn wake_members(&self, chain: &ChainId, news: News) {
        if let Some(connected) = self.lock().get(chain) {
            connected.ring(news, Some(Standing::Member));
        }
    }

    /// Whether any member of a chain is connected.
    pub fn is_online(&self, chain: &ChainId) -> bool {
        self.lock().get(chain).is_some_and(|connected| connected.members > 0)
    }

    /// Sessions connected now.
    pub fn len(&self) -> usize {
        self.lock().values().map(|connected| connected.bells.len()).sum()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChainId, Connected>> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    fn ring(&self, news: News, only: Option<Standing>) {
        for (standing, bell) in self.bells.values() {
            // A joiner has no business with records, so they do not wake it.
            let wanted = if *standing == Standing::Joiner { news.without(News::RECORDS) } else { news };
            if only.is_none_or(|only| only == *standing) && wanted != News::NONE {
                bell.news.fetch_or(wanted.0, Ordering::AcqRel);
                bell.notify.notify_one();
            }
        }
    }
}

impl Seat {
    /// Waits until there is news, and takes it.
    pub async fn news(&self) -> News {
        loop {
            let news = News(self.bell.news.swap(0, Ordering::AcqRel));
            if news != News::NONE {
                return news;
            }
            self.bell.notify.notified().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut chains = self.registry.lock();
        let Some(connected) = chains.get_mut(&self.chain) else { return };
        if let Some((Standing::Member, _)) = connected.bells.remove(&self.number) {
            connected.members -= 1;
            if connected.members == 0 {
                connected.ring(News::REQUESTS, Some(Standing::Joiner));
            }
        }
        if connected.bells.is_empty() {
            chains.remove(&self.chain);
        }
    }
}
