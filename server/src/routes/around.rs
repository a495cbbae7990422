//! What happens around every request: the client's address, the limit on refusals, the relay's clock in the answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue};

use super::problem;
use crate::address::{self, Client, Net};
use crate::problem::ToAStranger;
use crate::relay::Relay;

/// The relay's clock, unix milliseconds: whoever is refused with `clock` compares it with its own.
const TIME: HeaderName = HeaderName::from_static("countersign-time");

/// The other end of the connection, as the accept loop saw it, or as a trusted proxy announced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Client);

pub(super) async fn around(State(relay): State<Arc<Relay>>, mut request: Request, next: Next) -> Response {
    // Without a peer the router is called by a test; the unspecified address then stands for it.
    let nobody = Client { address: IpAddr::from([0, 0, 0, 0]), proxy: None };
    let Client { address: socket, proxy } = request.extensions().get::<Peer>().map_or(nobody, |peer| peer.0);
    let trusted = &relay.config.trusted_proxies;
    if address::looks_like_forgotten_proxy(socket, request.headers(), trusted) && relay.first_warning_of_proxy() {
        tracing::warn!(
            "a private address sends forwarding headers, but trusted_proxies is empty: prompts will show the proxy's address"
        );
    }
    let mut client = address::client(socket, request.headers(), trusted);
    client.proxy = client.proxy.or(proxy);
    let net = Net::of(client.address);
    let now = relay.now();
    // A probe of the relay's health comes from wherever its proxy stands, next to whoever was refused too often.
    let probe = matches!(request.uri().path(), "/livez" | "/readyz");
    let allowed = if probe { Ok(()) } else { relay.rates.check_banned(net, now.steady) };
    let mut response = match allowed {
        Err(refusal) => problem(refusal).into_response(),
        Ok(()) => {
            request.extensions_mut().insert(client);
            let response = next.run(request).await;
            if response.extensions().get::<ToAStranger>().is_some() {
                relay.rates.refused_from(net, now.steady);
            }
            response
        }
    };
    response.headers_mut().insert(TIME, HeaderValue::from(relay.now().wall));
    response
}
