//! The address in the prompt is the one that the phone dialled from, whatever it claims.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::relay::{Relay, Setup};

/// The address, and the proxy, that the laptop is shown of a phone that reaches the relay in a certain way.
fn shown(relay: &Relay, phone: Reach) -> (String, Option<String>) {
    let laptop = Member::found(Reach::to(relay), "laptop");
    let phone = Joiner::ask(phone, &laptop.code(), "phone");
    let seen = laptop.sees(&phone).expect("an open request").seen;
    (seen.address, seen.proxy)
}

#[test]
fn without_trusted_proxies_it_is_the_sockets_and_headers_are_not_believed() {
    let relay = Relay::start();
    let plain = Reach::to(&relay).from("127.0.0.7");
    assert_eq!(shown(&relay, plain.clone()), ("127.0.0.7".to_owned(), None));
    let spoofed = plain.with_header("x-forwarded-for", "9.9.9.9").with_header("forwarded", "for=8.8.8.8");
    assert_eq!(shown(&relay, spoofed), ("127.0.0.7".to_owned(), None));
}

#[test]
fn a_trusted_proxy_names_the_client_and_is_named_itself() {
    let relay = Setup::default().trusting(&["127.0.0.2/32"]).start();
    let through = Reach::to(&relay).from("127.0.0.2").with_header("x-forwarded-for", "203.0.113.7");
    assert_eq!(shown(&relay, through), ("203.0.113.7".to_owned(), Some("127.0.0.2".to_owned())));
    let forwarded = Reach::to(&relay).from("127.0.0.2").with_header("forwarded", "for=\"[2001:db8::7]:4711\"");
    assert_eq!(shown(&relay, forwarded), ("2001:db8::7".to_owned(), Some("127.0.0.2".to_owned())));
}

#[test]
fn a_client_that_writes_the_header_itself_is_seen_through() {
    let relay = Setup::default().trusting(&["127.0.0.2/32"]).start();
    let spoofed = Reach::to(&relay).from("127.0.0.2").with_header("x-forwarded-for", "9.9.9.9, 203.0.113.7");
    assert_eq!(shown(&relay, spoofed).0, "203.0.113.7", "the rightmost is what the proxy saw");
    let direct = Reach::to(&relay).from("127.0.0.3").with_header("x-forwarded-for", "9.9.9.9");
    assert_eq!(shown(&relay, direct), ("127.0.0.3".to_owned(), None), "no proxy of ours");
}

#[test]
fn over_ipv6_it_is_the_ipv6_address() {
    let relay = Setup::default().on("::1").start();
    assert_eq!(shown(&relay, Reach::to(&relay)), ("::1".to_owned(), None));
}
