//! One WebSocket: its whole life in one function.

mod link;
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

/// Authenticates a device, serves it until one side ends, and says why on the way out.
///
/// `proven` is called once the device has shown who it is: until then the connection may be cut off to make room.
pub(crate) async fn run(relay: &Arc<Relay>, mut link: Box<Link>, offered: &[String], proven: impl FnOnce()) {
    let who = tokio::select! {
        () = relay.draining.cancelled() => Err(Ended::Draining),
        who = Box::pin(connect::authenticate(relay, &mut link, offered)) => who,
    };
    let ended = match who {
        Ok(Who::Member { chain, device, head, cursor }) => {
            proven();
            // Registered before the first read, so that nothing falls between the two.
            let seat = relay.registry.register(chain, Standing::Member);
            tracing::debug!(chain = %chain.short(), device = %device.short(), "member connected");
            let mut session = member::Session::new(relay, chain, device);
            // Boxed, here and below: an idle socket carries the state of its own session and of no other step.
            Box::pin(session.serve(&mut link, &seat, head, cursor)).await
        }
        Ok(Who::Joiner { chain, request, device }) => {
            proven();
            let seat = relay.registry.register(chain, Standing::Joiner);
            tracing::debug!(request = %request.short(), "joiner connected");
            let mut session = joiner::Session::new(relay, request, device);
            Box::pin(session.serve(&mut link, &seat)).await
        }
        Err(ended) => ended,
    };
    tracing::debug!(?ended, "socket ends");
    Box::pin(link.close(ended)).await;
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(Refusal::NotAMember) => Self::NotAMember,
            Failure::Refused(_) => Self::Refused,
            Failure::NotDurable(_) | Failure::Broken(_) => {
                tracing::error!(%failure, "a socket ends because the store cannot be read");
                Self::Unavailable
            }
        }
    }
}
