//! A member with its relay: what it does over the network, in the order that keeps promises.
//!
//! Verify, pin, then act or show. Own forms are kept before they are sent, and repeated with the same bytes.

mod follow;
mod append;
mod approvals;
mod membership;
mod policy;
mod totp;
mod requests;
mod refill;
mod moving;
mod ending;
mod settling;
mod outbox;
mod records;
mod rekey;
mod recovery;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::core::Core;
use crate::core::view::Event;
use crate::error::AgentError;
use crate::relay_client::RelayClient;
use crate::told::Told;

pub(crate) use approvals::Agreement;
pub(crate) use moving::Destination;

/// A member at work. Clones are the same member.
#[derive(Clone)]
pub(crate) struct Agent {
    shared: Arc<Shared>,
}

/// Rings at each move to another relay.
pub(crate) type Moves = watch::Receiver<Arc<RelayClient>>;

struct Shared {
    core: Arc<Mutex<Core>>,
    /// The relay; another one once the chain is moved there.
    relay: watch::Sender<Arc<RelayClient>>,
    events: broadcast::Sender<Event>,
    link: watch::Sender<Link>,
    /// One own entry at a time.
    appending: tokio::sync::Mutex<()>,
    /// One own line of records.
    writing: tokio::sync::Mutex<()>,
    /// Rung when there may be something to send.
    outbox: tokio::sync::Notify,
    /// One reader of the log and the feed.
    following: tokio::sync::Mutex<()>,
}

/// The socket to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// No session was started in this process.
    NoSession,
    /// It is up.
    Connected,
    /// It is down; the session dials again.
    Away {
        /// Why.
        why: String,
    },
    /// It is down for good: what the relay sent does not verify.
    Stopped {
        /// Why.
        told: Told,
    },
}

impl Agent {
    /// Puts a member and its relay together.
    pub(crate) fn new(core: Core, relay: RelayClient) -> Self {
        let events = core.events();
        Self::with(Arc::new(Mutex::new(core)), relay, events)
    }

    fn with(core: Arc<Mutex<Core>>, relay: RelayClient, events: broadcast::Sender<Event>) -> Self {
        let shared = Shared {
            core,
            relay: watch::Sender::new(Arc::new(relay)),
            events,
            link: watch::Sender::new(Link::NoSession),
            appending: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            outbox: tokio::sync::Notify::new(),
            following: tokio::sync::Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Works on the state, off the threads that serve sockets: a sync to disk may take its time.
    pub(crate) async fn core<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, AgentError> {
        let core = Arc::clone(&self.shared.core);
        let work = move || work(&mut core.lock().unwrap_or_else(PoisonError::into_inner));
        // The clock of a simulation is that of the thread on which it runs.
        #[cfg(feature = "simulation")]
        return Ok(work());
        #[cfg(not(feature = "simulation"))]
        tokio::task::spawn_blocking(work).await.map_err(|error| AgentError::Task { what: error.to_string() })
    }

    /// The relay.
    pub(crate) fn relay(&self) -> Arc<RelayClient> {
        Arc::clone(&self.shared.relay.borrow())
    }

    /// Rings when the chain was moved to another relay.
    pub(crate) fn moves(&self) -> Moves {
        self.shared.relay.subscribe()
    }

    /// The same member as it stands to another relay, for as long as it is not moved there: one state, locks of its own.
    fn beside(&self, relay: RelayClient) -> Self {
        Self::with(Arc::clone(&self.shared.core), relay, self.shared.events.clone())
    }

    /// Everything that happens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The socket to the relay.
    pub(crate) fn link(&self) -> Link {
        self.shared.link.borrow().clone()
    }

    /// Notes a change of the socket, and tells it.
    pub(crate) fn set_link(&self, link: Link) {
        let event = match &link {
            Link::NoSession => return,
            Link::Connected => Event::Link { state: "connected".to_owned() },
            Link::Away { why } => Event::Link { state: why.clone() },
            Link::Stopped { told } => Event::Stopped { told: told.clone() },
        };
        let changed = self.shared.link.send_if_modified(|now| {
            let changed = *now != link;
            *now = link;
            changed
        });
        if changed {
            if self.link() == Link::Connected {
                self.shared.outbox.notify_one();
            }
            let _ = self.shared.events.send(event);
        }
    }
}
