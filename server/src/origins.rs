//! Origins that devices dial (RFC 6454 §6.2), and sign.

use std::net::SocketAddr;

/// Whether the relay speaks TLS itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The origins of a relay of which nothing is configured: its listening address, and `localhost`.
#[must_use]
pub fn of_listener(scheme: Scheme, bound: SocketAddr) -> Vec<String> {
    let hosts = if bound.ip().is_unspecified() {
        // Nobody dials the unspecified address; what a distant device dials must be configured.
        vec!["127.0.0.1".to_owned(), "[::1]".to_owned(), "localhost".to_owned()]
    } else {
        vec![host(bound), "localhost".to_owned()]
    };
    hosts.into_iter().map(|host| join(scheme, &host, bound.port())).collect()
}

/// The address that is printed when the relay listens.
#[must_use]
pub fn shown(scheme: Scheme, bound: SocketAddr) -> String {
    format!("{}://{bound}", scheme.name())
}

/// Checks an origin that an operator wrote: scheme and host, a port only if it is not the default, nothing after.
///
/// # Errors
///
/// What is wrong with it. Devices sign the origin, so one character more would refuse them all.
pub fn check(origin: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{origin:?} is no origin (RFC 6454): {what}"));
    let (scheme, host) = match origin.split_once("://") {
        Some(("http", host)) => (Scheme::Http, host),
        Some(("https", host)) => (Scheme::Https, host),
        _ => return wrong("it begins with neither http:// nor https://"),
    };
    if host.is_empty() || host.chars().any(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c)))
    {
        return wrong("after the scheme come host and port in lower-case ASCII, and no slash");
    }
    if host.ends_with(&format!(":{}", scheme.default_port())) {
        return wrong("the default port is omitted");
    }
    Ok(())
}

fn host(bound: SocketAddr) -> String {
    match bound.ip().to_canonical() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn join(scheme: Scheme, host: &str, port: u16) -> String {
    if port == scheme.default_port() {
        format!("{}://{host}", scheme.name())
    } else {
        format!("{}://{host}:{port}", scheme.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_port_is_omitted_as_rfc_6454_wants() {
        let of = |scheme, bound: &str| of_listener(scheme, bound.parse().unwrap());
        assert_eq!(of(Scheme::Http, "127.0.0.1:7370"), ["http://127.0.0.1:7370", "http://localhost:7370"]);
        assert_eq!(of(Scheme::Https, "[::1]:443"), ["https://[::1]", "https://localhost"]);
    }
}
