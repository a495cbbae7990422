//! The way through an HTTP proxy: the one that the environment names, and the tunnel through it.
//!
//! Everything goes by CONNECT, plain `http://` as well: the proxy sees host and port, the relay sees the bytes as they were sent, and
//! the origin that devices sign stays the relay's. A proxy that is asked to forward single requests could carry no WebSocket.
//!
//! The names are those of curl: `HTTPS_PROXY` for `https://`, `HTTP_PROXY` for `http://`, `ALL_PROXY` for what has none of its own, and
//! `NO_PROXY` (hosts, domains, addresses, ranges, `*`) for what goes straight; in small letters too. As in Go and in browsers, this
//! machine itself is never reached through a proxy: plain text to a loopback address is accepted because it leaves no machine.

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Security, Stream, is_loopback, tls};
use crate::error::AgentError;
use crate::limits;

/// An HTTP proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Scheme, host and port, without the password.
    pub(super) shown: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy for an origin, if there is one.
    pub(super) fn of(proxies: &Matcher, origin: &str, host: &str) -> Result<Option<Self>, AgentError> {
        let Some(named) = origin.parse().ok().filter(|_| !is_loopback(host)).and_then(|uri| proxies.intercept(&uri))
        else {
            return Ok(None);
        };
        let uri = named.uri();
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let wrong = |what: &str| AgentError::Usage {
            what: format!("the environment names the proxy {uri}, {what}"),
            hint: "HTTPS_PROXY=http://proxy.example.org:3128   (or NO_PROXY=HOST, to go straight)".to_owned(),
        };
        // Going straight instead would show this device's address to a network that it was to be kept from.
        let (port, security) = match uri.scheme_str() {
            Some("http") => (80, Security::Plain),
            Some("https") => (443, tls::security(&host, None)?.ok_or_else(|| wrong("which TLS cannot name"))?),
            _ => return Err(wrong("which is no HTTP proxy")),
        };
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let shown = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        let authorization = named.basic_auth().cloned();
        Ok(Some(Self { shown, host, port: uri.port_u16().unwrap_or(port), security, authorization }))
    }

    /// Asks for a tunnel to a host and port over a stream to the proxy.
    pub(super) async fn tunnel(&self, mut stream: Box<dyn Stream>, target: &str) -> std::io::Result<Box<dyn Stream>> {
        let mut ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            ask.extend_from_slice(b"Proxy-Authorization: ");
            ask.extend_from_slice(authorization.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        stream.write_all(&ask).await?;
        stream.flush().await?;
        let head = read_head(&mut stream).await?;
        let status: String = head.split(' ').nth(1).unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        if head.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') {
            return Ok(stream);
        }
        let said = if status.is_empty() { "what no HTTP proxy answers".to_owned() } else { status };
        Err(std::io::Error::other(format!("it answered {said} to CONNECT {target}")))
    }
}

/// Reads an answer up to its empty line and no byte further: what follows belongs to the tunnel.
async fn read_head(stream: &mut Box<dyn Stream>) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= limits::PROXY_ANSWER_BYTES {
            return Err(std::io::Error::other("its answer is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(proxies: &Matcher, origin: &str) -> Option<String> {
        let host: http::Uri = origin.parse().unwrap();
        Proxy::of(proxies, origin, host.host().unwrap()).unwrap().map(|proxy| proxy.shown)
    }

    #[test]
    fn each_scheme_has_its_proxy_and_no_proxy_goes_straight() {
        let named = Matcher::builder()
            .https("http://secure:3128")
            .all("http://user:secret@rest:3129")
            .no("inside.example,192.0.2.0/24")
            .build();
        assert_eq!(proxy(&named, "https://relay.example"), Some("http://secure:3128".to_owned()));
        assert_eq!(proxy(&named, "http://relay.example"), Some("http://rest:3129".to_owned()), "and no password");
        for straight in
            ["https://a.inside.example", "https://192.0.2.7:7370", "http://127.0.0.1:7370", "http://localhost"]
        {
            assert_eq!(proxy(&named, straight), None, "{straight}");
        }
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_and_not_passed_by() {
        let named = Matcher::builder().all("socks5://proxy:1080").build();
        assert!(Proxy::of(&named, "https://relay.example", "relay.example").is_err());
    }
}
