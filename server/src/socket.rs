//! One WebSocket: its whole life in one function.

mod frames;
mod link;
mod line;
mod connect;
mod pulse;
mod member;
mod joiner;

use std::sync::Arc;

use protocol::connect::Standing;

pub(crate) use link::{Ended, Link};

use crate::failure::{Failure, Refusal};
use crate::relay::Relay;
use connect::Who;
use line::Line;

/// A device that showed who it is. Boxed: the task of an idle socket is little more than a pointer to one of these.
#[derive(Debug)]
pub(crate) enum Session {
    Member(Box<member::Session>),
    Joiner(Box<joiner::Session>),
}

/// Authenticates a device, and tells it where the relay stands. `None` if that ended it; then it was told why.
///
/// `proven` is called once the device has shown who it is: until then the connection may be cut off to make room.
pub(crate) async fn begin(
    relay: &Arc<Relay>,
    mut link: Link,
    offered: &[String],
    proven: impl FnOnce(),
) -> Option<Session> {
    let who = tokio::select! {
        () = relay.draining.cancelled() => Err(Ended::Draining),
        who = connect::authenticate(relay, &mut link, offered) => who,
    };
    let who = match who {
        Ok(who) => who,
        Err(ended) => {
            tracing::debug!(?ended, "socket ends");
            link.close(ended).await;
            return None;
        }
    };
    proven();
    // Registered before the first read, so that nothing falls between the two.
    let (mut session, begun) = match who {
        Who::Member { chain, device, head, cursor } => {
            let line = Line { link, seat: relay.registry.register(chain, Standing::Member) };
            tracing::debug!(chain = %chain.short(), device = %device.short(), "member connected");
            let mut session = Box::new(member::Session::new(relay, line, device));
            let begun = session.begin(head, cursor).await;
            (Session::Member(session), begun)
        }
        Who::Joiner { chain, request, device } => {
            let line = Line { link, seat: relay.registry.register(chain, Standing::Joiner) };
            tracing::debug!(request = %request.short(), "joiner connected");
            (Session::Joiner(Box::new(joiner::Session::new(relay, line, request, device))), Ok(()))
        }
    };
    // Whoever registered after the sessions were told has missed it.
    let missed = if relay.draining.is_cancelled() { Err(Ended::Draining) } else { Ok(()) };
    match begun.and(missed) {
        Ok(()) => Some(session),
        Err(ended) => {
            session.close(ended).await;
            None
        }
    }
}

impl Session {
    /// Serves the device until one side ends, and says why on the way out.
    pub(crate) async fn serve(mut self) {
        let served = match &mut self {
            Self::Member(session) => session.pump().await,
            Self::Joiner(session) => session.pump().await,
        };
        let Err(ended) = served;
        Box::pin(self.close(ended)).await;
    }

    async fn close(&mut self, ended: Ended) {
        tracing::debug!(?ended, "socket ends");
        match self {
            Self::Member(session) => session.line.link.close(ended).await,
            Self::Joiner(session) => session.line.link.close(ended).await,
        }
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(Refusal::NotAMember) => Self::NotAMember,
            Failure::Refused(Refusal::Reset { .. }) => Self::Reset,
            Failure::Refused(_) => Self::Refused,
            Failure::NotDurable(_) | Failure::Broken(_) => {
                tracing::error!(%failure, "a socket ends because the store cannot be read");
                Self::Unavailable
            }
        }
    }
}
