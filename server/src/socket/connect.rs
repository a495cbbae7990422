//! Challenge and Connect: who is at the other end.

use protocol::connect::{Connect, Cursor, Standing};
use protocol::id::Random;
use protocol::wire::{Challenge, ToDevice};
use protocol::{ChainId, DeviceId, Hash, RequestId, SUBPROTOCOL, Signed, limits};
use tokio::time::timeout;

use super::link::{Ended, Link};
use crate::relay::Relay;
use crate::store::chains;

/// A device that showed who it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    /// A member of a chain, now.
    Member { chain: ChainId, device: DeviceId, head: Hash, cursor: Option<Cursor> },
    /// The device of a join request.
    Joiner { chain: ChainId, request: RequestId, device: DeviceId },
}

/// Sends the challenge and checks the answer. The nonce lives on this stack frame: it serves this socket, once.
pub(super) async fn authenticate(relay: &Relay, link: &mut Link, offered: &[String]) -> Result<Who, Ended> {
    let nonce = Random::draw(&mut rand_core::UnwrapErr(getrandom::SysRng));
    link.send(&ToDevice::Challenge(Challenge { nonce, at: relay.now().wall })).await?;
    let patience = relay.config.timeouts.handshake.min(limits::CHALLENGE_LIFETIME);
    let answer = timeout(patience, first_message(link)).await.map_err(|_| Ended::Refused)??;
    let connect = Signed::<Connect>::decode(&answer).map_err(|_| Ended::Protocol)?;
    let claimed = connect.claimed();
    // Compared with the configured origins, never with a header: a Connect made for another relay must be worthless here.
    let meant_for_us = claimed.relay_nonce == nonce && relay.origins.contains(&claimed.origin);
    // The versions that were signed must be those that arrived, or somebody between took the better one away.
    let as_offered = claimed.offered == offered && claimed.offered.iter().any(|offer| offer == SUBPROTOCOL);
    if !meant_for_us || !as_offered {
        return Err(Ended::Refused);
    }
    let connect = connect.verify().map_err(|_| Ended::Refused)?;
    match (connect.standing, connect.chain, connect.head, connect.request) {
        (Standing::Member, Some(chain), Some(head), _) => {
            let (device, cursor) = (connect.device, connect.cursor);
            relay.store.glance(Some(chain), move |tx| chains::for_member(tx, &chain, &device).map(|_| ())).await?;
            Ok(Who::Member { chain, device, head, cursor })
        }
        (Standing::Joiner, _, _, Some(request)) => {
            let device = connect.device;
            let (chain, _) = relay.standing(request, device).await?;
            Ok(Who::Joiner { chain, request, device })
        }
        _ => Err(Ended::Protocol),
    }
}

async fn first_message(link: &mut Link) -> Result<Vec<u8>, Ended> {
    loop {
        if let Some(bytes) = link.receive().await? {
            return Ok(bytes);
        }
    }
}
