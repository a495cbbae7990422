//! The HTTP routes: every action of a device is one POST of a signed form, every read one signed GET.

mod body;
mod around;
mod log;
mod keys;
mod requests;
mod rounds;
mod approvals;
mod resets;
mod records;
mod health;
mod upgrade;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use protocol::wire::MEDIA_TYPE;

pub use around::Peer;
pub use upgrade::{Upgrade, UpgradeSlot};

use crate::failure::{Failure, Refusal};
use crate::problem::Problem;
use crate::relay::Relay;

/// What a handler returns.
type Answer = Result<Response, Problem>;

/// All routes of a relay.
pub fn router(relay: Arc<Relay>) -> Router {
    // Not nested: nesting would cut the prefix off the address that the signature of a read is over.
    Router::new()
        .route("/v1/chains", post(log::found))
        .route("/v1/log", post(log::append))
        .route("/v1/chains/{chain}/log", get(log::page))
        .route("/v1/keys/{key}", get(keys::whereabouts))
        .route("/v1/chains/{chain}/requests", get(requests::open))
        .route("/v1/requests", post(requests::ask))
        .route("/v1/requests/{id}", get(requests::standing))
        .route("/v1/withdrawals", post(requests::withdraw))
        .route("/v1/nonces", post(rounds::nonce))
        .route("/v1/reveals", post(rounds::reveal))
        .route("/v1/approvals", post(approvals::approve))
        .route("/v1/chains/{chain}/approvals", get(approvals::kept))
        .route("/v1/resets", post(resets::announce))
        .route("/v1/join-keys/{key}", get(resets::chain_of))
        .route("/v1/records", post(records::put))
        .route("/v1/chains/{chain}/records", get(records::page))
        .route("/v1/chains/{chain}/records/{collection}/{id}", get(records::current))
        .route("/v1/socket", get(upgrade::socket))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/.well-known/countersign", get(health::well_known))
        .fallback(|| async { problem(Refusal::NotFound) })
        .method_not_allowed_fallback(|| async { problem(Refusal::MethodNotAllowed) })
        .layer(from_fn_with_state(Arc::clone(&relay), around::around))
        .with_state(relay)
}

/// A CBOR answer.
fn cbor<T: minicbor::Encode<()>>(status: StatusCode, value: &T) -> Response {
    let mut response = (status, protocol::cbor::encode(value)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

fn problem(refusal: Refusal) -> Problem {
    Failure::from(refusal).into()
}
