//! Whose address a request came from.
//!
//! A forwarding header is a claim of whoever sent it. It is believed only from a proxy that the operator named, and read from
//! the right: each trusted proxy appended what it saw, and everything further left may have been written by the client itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Hops of forwarding headers that are looked at. A longer list is a client's invention.
const HOPS_MAX: usize = 16;

/// A client as the relay sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address; IPv4-mapped IPv6 as IPv4.
    pub address: IpAddr,
    /// The trusted proxy that named the address, if it is not the socket's own.
    pub proxy: Option<IpAddr>,
}

/// The range that limits and blocks are counted by: what one subscriber can draw addresses from at will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Net {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 /64, by its upper half.
    V6(u64),
}

impl Net {
    /// The range of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}/32"),
            Self::V6(upper) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*upper) << 64)),
        }
    }
}

/// The client's address: the socket's, or the rightmost hop that is no trusted proxy where the socket's is one.
///
/// A hop that cannot be read ends the search: what stands left of it was not vouched for. Then the address is the last proxy's.
///
/// Most proxies write one of the two headers and hand the other on as the client wrote it. So where both are there they must name
/// the same client; else neither is believed, or a client could choose the address that the prompt shows.
#[must_use]
pub fn client(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let socket = socket.to_canonical();
    let (forwarded, x_forwarded_for) = (forwarded_hops(headers), x_forwarded_for_hops(headers));
    if x_forwarded_for.is_empty() {
        return walk(socket, forwarded, trusted);
    }
    let named = walk(socket, x_forwarded_for, trusted);
    if forwarded.is_empty() || walk(socket, forwarded, trusted) == named {
        named
    } else {
        Client { address: socket, proxy: None }
    }
}

/// Goes from the socket's address to the left for as long as a trusted proxy vouches for the next hop.
fn walk(socket: IpAddr, hops: Vec<Option<IpAddr>>, trusted: &[IpNet]) -> Client {
    let trusts = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut seen = Client { address: socket, proxy: None };
    for hop in hops {
        if !trusts(&seen.address) {
            break;
        }
        let Some(address) = hop else { break };
        seen = Client { address, proxy: Some(socket) };
    }
    seen
}

/// Whether a request carries forwarding headers from a private address, while no proxy is trusted: most likely a proxy that was
/// forgotten in the configuration, so that every prompt shows the proxy's address.
#[must_use]
pub fn looks_like_forgotten_proxy(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let private = match socket.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    };
    trusted.is_empty() && private && (headers.contains_key("forwarded") || headers.contains_key("x-forwarded-for"))
}

/// The hops of `Forwarded` (RFC 7239) from the right. `None` for one that is no address.
fn forwarded_hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    from_the_right(headers, "forwarded").iter().map(|element| forwarded_for(element)).collect()
}

/// The hops of `X-Forwarded-For` from the right. `None` for one that is no address.
fn x_forwarded_for_hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    from_the_right(headers, "x-forwarded-for").iter().map(|hop| node(hop)).collect()
}

/// The elements of a header that is a list, the last first.
fn from_the_right(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let elements: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    elements.into_iter().rev().take(HOPS_MAX).map(str::to_owned).collect()
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().to_owned())
    };
    element.split(';').find_map(pair).and_then(|value| node(&value))
}

/// An address with or without port, brackets and quotes (RFC 7239 §6).
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(socket: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let client = client(socket.parse().unwrap(), &map, &trusted);
        client.proxy.map_or(client.address.to_string(), |proxy| format!("{} via {proxy}", client.address))
    }

    #[test]
    fn headers_are_not_believed_without_a_trusted_proxy() {
        let spoofed = [("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=8.8.8.8")];
        assert_eq!(seen("203.0.113.7", &spoofed, &[]), "203.0.113.7");
        assert_eq!(seen("203.0.113.7", &spoofed, &["10.0.0.0/8"]), "203.0.113.7");
    }

    #[test]
    fn the_rightmost_untrusted_hop_is_the_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(
            seen("10.0.0.1", &[("x-forwarded-for", "9.9.9.9, 203.0.113.7")], &trusted),
            "203.0.113.7 via 10.0.0.1"
        );
        let through_two = [("x-forwarded-for", "9.9.9.9, 203.0.113.7, 10.0.0.2")];
        assert_eq!(seen("10.0.0.1", &through_two, &trusted), "203.0.113.7 via 10.0.0.1");
        let two_lines = [("x-forwarded-for", "9.9.9.9"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(seen("10.0.0.1", &two_lines, &trusted), "203.0.113.7 via 10.0.0.1");
    }

    #[test]
    fn an_unreadable_hop_ends_the_search() {
        let hidden = [("x-forwarded-for", "9.9.9.9, unknown")];
        assert_eq!(seen("10.0.0.1", &hidden, &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[("x-forwarded-for", "9.9.9.9, ")], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn forwarded_of_rfc_7239_is_read_with_quotes_ports_and_ipv6() {
        let trusted = ["::1/128", "127.0.0.0/8"];
        let header = [("forwarded", "for=9.9.9.9, For=\"[2001:db8:cafe::17]:4711\";proto=https;by=203.0.113.43")];
        assert_eq!(seen("::1", &header, &trusted), "2001:db8:cafe::17 via ::1");
        assert_eq!(seen("127.0.0.1", &[("forwarded", "for=\"192.0.2.60:81\"")], &trusted), "192.0.2.60 via 127.0.0.1");
    }

    #[test]
    fn a_header_that_the_proxy_hands_on_as_the_client_wrote_it_does_not_choose_the_address() {
        let trusted = ["10.0.0.0/8"];
        for spoofed in ["for=9.9.9.9", "for=9.9.9.9, for=unknown", ""] {
            let both = [("forwarded", spoofed), ("x-forwarded-for", "203.0.113.7")];
            assert_eq!(seen("10.0.0.1", &both, &trusted), "10.0.0.1", "{spoofed:?}");
        }
        let agreeing = [("forwarded", "for=203.0.113.7"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(seen("10.0.0.1", &agreeing, &trusted), "203.0.113.7 via 10.0.0.1");
    }

    #[test]
    fn ipv4_mapped_ipv6_is_ipv4() {
        assert_eq!(seen("::ffff:203.0.113.7", &[], &[]), "203.0.113.7");
        let header = [("x-forwarded-for", "::ffff:192.0.2.1")];
        assert_eq!(seen("::ffff:10.0.0.1", &header, &["10.0.0.0/8"]), "192.0.2.1 via 10.0.0.1");
    }

    #[test]
    fn ranges_are_one_ipv4_address_and_one_ipv6_64() {
        let net = |text: &str| Net::of(text.parse().unwrap()).to_string();
        assert_eq!(net("203.0.113.7"), "203.0.113.7/32");
        assert_eq!(net("::ffff:203.0.113.7"), "203.0.113.7/32");
        assert_eq!(net("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }
}
