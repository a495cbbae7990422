//! Whether this device is a member that can do what a member does: by the log that it has, and by what its relay answers to a signed read.

use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::signed::Verified;
use protocol::wire::LogPage;

use super::Finding;
use crate::clock;
use crate::core::Core;
use crate::core::view::ResetView;
use crate::door::Door;
use crate::error::AgentError;
use crate::home::{Home, Lock};
use crate::local::body::Status;
use crate::relay_client::RelayClient;

const CHECK: &str = "member";
const TAKE_OUT: &str = "countersign record export FILE   (what this device has stays readable)";

/// What this device knows of its membership before a relay is asked.
pub(crate) enum Membership {
    /// Nothing that this check could add to: there is none, or its log does not open, or another process works with it.
    Unknown,
    /// What the daemon says, which asks its relay itself.
    Daemon(Box<Status>),
    /// The log, with which no other process works meanwhile.
    Here {
        /// It.
        core: Box<Core>,
        /// Held as long as it is looked at.
        _lock: Lock,
    },
}

impl Membership {
    /// Asks the daemon, or opens the log.
    pub(super) async fn look(home: &Home) -> Result<Self, AgentError> {
        if let Some(door) = Door::of_daemon(home).await {
            return Ok(door.get("/status").await.map_or(Self::Unknown, |status| Self::Daemon(Box::new(status))));
        }
        match home.try_lock()? {
            Some(lock) => Ok(Self::Here { core: Box::new(Core::open(home)?), _lock: lock }),
            None => Ok(Self::Unknown),
        }
    }

    /// Why this device does nothing any more in its chain, as far as is known here.
    pub(super) fn over(&self) -> Option<Finding> {
        match self {
            Self::Unknown => None,
            Self::Daemon(status) => match (&status.gone, status.closed_at) {
                (Some(gone), _) => Some(Finding::fail(CHECK, gone, TAKE_OUT)),
                (None, Some(_)) => Some(Finding::failed(CHECK, &AgentError::Closed)),
                (None, None) => None,
            },
            Self::Here { core, .. } => {
                let closed = core.roster().is_closed().then_some(AgentError::Closed);
                core.gone().or(closed).map(|error| Finding::failed(CHECK, &error))
            }
        }
    }

    fn fork(&self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Daemon(status) => status.fork_at,
            Self::Here { core, .. } => core.fork(),
        }
    }

    fn reset(&self) -> Result<Option<ResetView>, AgentError> {
        match self {
            Self::Unknown => Ok(None),
            Self::Daemon(status) => Ok(status.reset.clone()),
            Self::Here { core, .. } => core.reset(),
        }
    }

    /// The check, with the relay's answer where one is given to ask.
    pub(crate) async fn check(&self, relay: Option<RelayClient>) -> Option<Finding> {
        if matches!(self, Self::Unknown) {
            return None;
        }
        let known = self.over().or_else(|| self.fork().map(|seq| Finding::failed(CHECK, &AgentError::Fork { seq })));
        let asked = match (known, self, relay) {
            (Some(known), _, _) => return Some(known),
            (None, Self::Here { core, .. }, Some(relay)) => ask(core, &relay).await,
            // A daemon asked when it was asked.
            (None, _, relay) => Ok(relay.is_some()),
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(refused) => return Some(refused),
        };
        Some(match self.reset() {
            Ok(Some(reset)) => announced(&reset),
            Ok(None) if asked => Finding::ok(CHECK, "this device is a member, and the relay says so too"),
            Ok(None) => Finding::ok(CHECK, "by the log that it has, this device is a member; no relay was asked"),
            Err(error) => Finding::failed(CHECK, &error),
        })
    }
}

fn announced(reset: &ResetView) -> Finding {
    let says =
        format!("somebody with the sync code wants the relay to delete this chain, on {}", clock::show(reset.due_at));
    Finding::warn(CHECK, says, "countersign chain veto   (and replace the code: countersign code rotate)")
}

/// A signed read of what follows in the log. Nothing of it is taken. Returns whether the relay answered at all.
async fn ask(core: &Core, relay: &RelayClient) -> Result<bool, Finding> {
    let roster = core.roster();
    match relay.log(core.keys(), roster.chain(), Some(roster.seq())).await {
        Ok(page) => compare(core, &page).map(|()| true),
        Err(AgentError::WasReset { form }) => Err(Finding::failed(CHECK, &core.judge_reset(&form))),
        Err(AgentError::Problem { code, detail, .. }) if code == "not-a-member" => {
            let says = format!("the relay says that this device is no member: {detail}");
            let next = "countersign status   (gives the relay the log again, in case that it lost it, and says what is so then)";
            Err(Finding::fail(CHECK, says, next))
        }
        // That it is not reached is told where the way to it is walked.
        Err(AgentError::Unreachable { .. }) => Ok(false),
        Err(other) => Err(Finding::failed(CHECK, &other)),
    }
}

/// Whether the relay's log goes on from the pinned one, or ends in it.
fn compare(core: &Core, page: &LogPage) -> Result<(), Finding> {
    let follows =
        |bytes: &Blob| Verified::<Entry>::from_bytes(bytes).is_ok_and(|entry| entry.prev == Some(core.roster().head()));
    if core.is_pinned(&page.head) || page.entries.first().is_some_and(follows) {
        return Ok(());
    }
    let says = "the relay shows another log than the one that this device has";
    Err(Finding::fail(CHECK, says, "countersign status   (compares them, and says whether the log forks)"))
}
