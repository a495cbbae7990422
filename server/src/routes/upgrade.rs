//! The WebSocket handshake (RFC 6455 §4.2), by hand: one version, one subprotocol, no extension.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use protocol::SUBPROTOCOL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Answer, problem};
use crate::failure::Refusal;

/// A handshake that was answered: the connection's own task carries on with it.
#[derive(Debug)]
pub struct Upgrade {
    /// Yields the socket once the answer was written.
    pub on: OnUpgrade,
    /// The subprotocols that were offered, to be compared with those that the device signed.
    pub offered: Vec<String>,
}

/// Where the handler leaves the upgrade for the connection's task, which owns the socket: so no task is spawned for it.
#[derive(Debug, Clone, Default)]
pub struct UpgradeSlot(Arc<Mutex<Option<Upgrade>>>);

impl UpgradeSlot {
    /// Takes the upgrade out, if there was one.
    #[must_use]
    pub fn take(&self) -> Option<Upgrade> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, upgrade: Upgrade) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }
}

/// `GET /v1/socket`
pub(super) async fn socket(Extension(slot): Extension<UpgradeSlot>, mut request: Request) -> Answer {
    let (accept, offered) = check(request.headers()).map_err(problem)?;
    let no_upgrade = || problem(Refusal::BadRequest("this connection cannot be upgraded to a WebSocket"));
    let on = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(no_upgrade)?;
    slot.put(Upgrade { on, offered });
    Ok(switching(&accept))
}

fn switching(accept: &str) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Checks the headers of a handshake; returns the accept key and the subprotocols offered.
fn check(headers: &HeaderMap) -> Result<(String, Vec<String>), Refusal> {
    let bad = Refusal::BadRequest;
    if !has_token(headers, header::CONNECTION, "upgrade") || !has_token(headers, header::UPGRADE, "websocket") {
        return Err(bad("this address takes a WebSocket handshake only (RFC 6455)"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("WebSocket version 13 is the only one"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(bad("Sec-WebSocket-Key is missing"))?;
    let offered: Vec<String> = tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
    if !offered.iter().any(|offer| offer == SUBPROTOCOL) {
        return Err(bad("subprotocol countersign.v1 must be offered"));
    }
    Ok((derive_accept_key(key.as_bytes()), offered))
}

fn tokens(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}
