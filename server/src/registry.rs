//! Who is connected, and how a session learns that there is something to read.
//!
//! A wake-up carries no content: each session reads the store itself, with its membership checked in that read. So nothing is
//! queued for a session, a slow one costs no memory, and for a removed device nothing more is read, whoever woke it.

mod bell;
mod alarms;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use protocol::ChainId;
use protocol::connect::Standing;
use tokio::time::Instant;

pub use bell::News;

use alarms::{Alarms, Step};
use bell::Bell;

#[derive(Debug, Default)]
struct Connected {
    bells: HashMap<u64, (Standing, Arc<Bell>)>,
    members: usize,
}

/// Whom a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    chain: ChainId,
    news: News,
    only: Option<Standing>,
}

impl Wake {
    /// Every session of a chain.
    #[must_use]
    pub fn all(chain: ChainId, news: News) -> Self {
        Self { chain, news, only: None }
    }

    /// The members of a chain, where a change shows in nothing that a joiner is told.
    #[must_use]
    pub fn members(chain: ChainId, news: News) -> Self {
        Self { chain, news, only: Some(Standing::Member) }
    }
}

/// All sessions, by chain.
#[derive(Debug, Default)]
pub struct Registry {
    next: AtomicU64,
    chains: Mutex<HashMap<ChainId, Connected>>,
    alarms: Alarms,
}

/// A session's place in the registry. Dropping it removes exactly this session.
#[derive(Debug)]
#[must_use = "a session is connected as long as this lives"]
pub struct Seat {
    registry: Arc<Registry>,
    chain: ChainId,
    number: u64,
    bell: Arc<Bell>,
    /// When it is woken the next time, if it asked for that.
    alarm: Option<Step>,
}

impl Registry {
    /// Registers a session. Its first wake-up is for everything, so it may register before it reads, and misses nothing.
    pub fn register(self: &Arc<Self>, chain: ChainId, standing: Standing) -> Seat {
        let bell = Arc::new(Bell::rung(News::ALL));
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
        Seat { registry: Arc::clone(self), chain, number, bell, alarm: None }
    }

    /// Wakes sessions. Called after a change is durable, or has failed: who is woken for nothing finds nothing.
    pub fn wake(&self, wake: Wake) {
        if let Some(connected) = self.lock().get(&wake.chain) {
            connected.ring(wake.news, wake.only);
        }
    }

    /// Tells every session that the relay drains.
    pub fn drain(&self) {
        for connected in self.lock().values() {
            connected.ring(News::DRAINING, None);
        }
    }

    /// Wakes sessions at the times that they asked for, as long as it is polled.
    pub async fn keep_time(&self) -> Infallible {
        loop {
            for bell in self.alarms.due().await.iter().filter_map(Weak::upgrade) {
                bell.ring(News::TIME);
            }
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
                bell.ring(wanted);
            }
        }
    }
}

impl Seat {
    /// The chain of the session.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Takes the news, or has the task woken once there is some.
    pub fn poll_news(&mut self, cx: &Context<'_>) -> Poll<News> {
        let news = self.bell.poll(cx);
        if matches!(news, Poll::Ready(news) if news.has(News::TIME)) {
            self.alarm = None;
        }
        news
    }

    /// Asks for [`News::TIME`] at a time. It may come early, and again; it is late by a fraction of a second at most.
    pub fn wake_by(&mut self, at: Instant) {
        let step = self.registry.alarms.step_of(at);
        // An alarm that is set stays: a session that gets a sign of life each second sets no more than one that gets none.
        if self.alarm.is_none_or(|set| step < set) {
            self.registry.alarms.set(step, Arc::downgrade(&self.bell));
            self.alarm = Some(step);
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
