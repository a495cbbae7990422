//! Whether the relay lives and is ready, and what it is. No detail for strangers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use protocol::limits;
use serde_json::json;

use crate::relay::Relay;

/// `GET /livez`
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the store takes writes, and the relay is not draining.
pub(super) async fn readyz(State(relay): State<Arc<Relay>>) -> Response {
    if !relay.draining.is_cancelled() && relay.store.is_writable().await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

/// `GET /.well-known/countersign`
pub(super) async fn well_known() -> Response {
    let body = json!({
        "schema": "countersign.relay/1",
        "software": "countersign-relay",
        "version": env!("CARGO_PKG_VERSION"),
        "protocol_versions": [protocol::VERSION],
        "subprotocols": [protocol::SUBPROTOCOL],
        "limits": {
            "body_bytes": limits::BODY_BYTES_MAX,
            "entry_bytes": limits::ENTRY_BYTES_MAX,
            "append_entries": limits::APPEND_ENTRIES_MAX,
            "batch_records": limits::BATCH_RECORDS_MAX,
            "record_bytes": limits::RECORD_BYTES_MAX,
            "ciphertext_bytes": limits::CIPHERTEXT_BYTES_MAX,
            "members": limits::MEMBERS_MAX,
            "pending_per_join_key": limits::PENDING_PER_JOIN_KEY_MAX,
            "prompts_per_day": limits::PROMPTS_PER_DAY_MAX,
        },
        "endpoints": {
            "chains": "/v1/chains",
            "log": "/v1/log",
            "requests": "/v1/requests",
            "withdrawals": "/v1/withdrawals",
            "nonces": "/v1/nonces",
            "reveals": "/v1/reveals",
            "approvals": "/v1/approvals",
            "resets": "/v1/resets",
            "records": "/v1/records",
            "keys": "/v1/keys",
            "join_keys": "/v1/join-keys",
            "socket": "/v1/socket",
        },
    });
    let mut response = body.to_string().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
