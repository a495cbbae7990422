//! Where the holder of a recovery device learns which chain it is of.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use http::StatusCode;
use protocol::DeviceId;
use protocol::wire::Whereabouts;

use super::body::{self, Named};
use super::{Answer, cbor};
use crate::address::{Client, Net};
use crate::failure::{Failure, Refusal};
use crate::relay::Relay;
use crate::signed_read;
use crate::store::recovery;

/// `GET /v1/keys/{key}`
///
/// Signed by the key that is asked for, so nobody learns whether another key is known here. Whoever asks is no member yet as far as
/// this relay can tell before it looks: so it is counted among what strangers ask.
pub(super) async fn whereabouts(
    State(relay): State<Arc<Relay>>,
    Extension(client): Extension<Client>,
    Named(key): Named<String>,
    request: Request,
) -> Answer {
    Ok(cbor(StatusCode::OK, &find(&relay, client, &key, request).await?))
}

async fn find(relay: &Relay, client: Client, key: &str, request: Request) -> Result<Whereabouts, Failure> {
    relay.rates.ask_from(Net::of(client.address))?;
    let (parts, _) = request.into_parts();
    let device = signed_read::device(relay, &parts)?;
    let [] = body::query(&parts, [])?;
    if body::id::<DeviceId>(key)? != device {
        return Err(Refusal::NotFound.into());
    }
    relay.store.glance(None, move |tx| recovery::whereabouts(tx, &device)).await
}
