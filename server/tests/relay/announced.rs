//! PROXY protocol: the prompt shows whom the trusted proxy announced, and nobody else gets in.

use std::net::IpAddr;

use countersign_relay::config::{Config, ProxyProtocol};
use protocol::wire;

use crate::harness::{House, Joiner, Member};

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn behind_a_proxy(config: &mut Config) {
    config.proxy_protocol = ProxyProtocol::Required;
    config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

/// The client and the proxy that a member is shown of a joiner whose connection began with some bytes.
async fn shown(announced: &[u8]) -> (String, Option<String>) {
    let mut house = House::start_with(behind_a_proxy).await;
    house.announce = b"PROXY UNKNOWN\r\n".to_vec();
    let laptop = Member::founds(&house).await;
    let phone = Joiner::new(laptop.keyring.code());
    house.announce = announced.to_vec();
    assert_eq!(phone.asks(&house).await.status, 202);
    let open: wire::OpenRequests =
        house.read(&laptop.keys, &format!("/v1/chains/{}/requests", laptop.chain())).await.decode();
    let seen = &open.requests.first().unwrap().seen;
    (seen.address.clone(), seen.proxy.clone())
}

#[tokio::test]
async fn the_prompt_shows_the_announced_client_and_the_proxy() {
    let proxy = Some("127.0.0.1".to_owned());
    let v1 = shown(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 7370\r\n").await;
    assert_eq!(v1, ("203.0.113.7".to_owned(), proxy.clone()));
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    v2.extend("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    v2.extend([0; 16]);
    v2.extend([18, 103, 28, 202]);
    assert_eq!(shown(&v2).await, ("2001:db8::7".to_owned(), proxy));
    assert_eq!(shown(b"PROXY UNKNOWN\r\n").await, ("127.0.0.1".to_owned(), None), "it speaks for itself");
}

#[tokio::test]
async fn who_comes_past_the_proxy_or_announces_nobody_is_not_answered() {
    let mut house = House::start_with(behind_a_proxy).await;
    house.announce = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 7370\r\n".to_vec();
    assert!(house.answers(PROXY).await);
    let stranger = IpAddr::from([127, 0, 0, 9]);
    assert!(!house.answers(stranger).await, "an untrusted peer announces whom it likes");
    house.announce = Vec::new();
    assert!(!house.answers(PROXY).await, "no header");
    assert!(!house.answers(stranger).await);
    house.announce = b"PROXY nonsense\r\n".to_vec();
    assert!(!house.answers(PROXY).await);
}

#[tokio::test]
async fn where_it_is_off_a_header_is_no_request() {
    let mut house = House::start().await;
    assert!(house.answers(PROXY).await);
    house.announce = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 7370\r\n".to_vec();
    assert!(!house.answers(PROXY).await);
}
