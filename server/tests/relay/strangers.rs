//! What can be sent by anybody: malformed, oversized, forged, slowly, too often, or through a proxy.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use countersign_relay::rates::Rate;
use protocol::wire::{OpenRequests, ToDevice};
use protocol::{Verified, limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Answer, House, Joiner, Member, founding, rng};

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn broken_forms_are_refused_each_by_its_own_problem() {
    let house = House::start().await;
    let (founding, _) = founding(protocol::policy::Policy::default());
    let bytes = founding.entry.bytes();
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert_eq!(told(&house.post("/v1/chains", &flipped).await), (400, "bad-proof".into()));
    assert_eq!(told(&house.post("/v1/chains", &longer).await), (400, "not-canonical".into()));
    assert_eq!(told(&house.post("/v1/chains", &bytes[..100]).await), (400, "malformed".into()));
    assert_eq!(told(&house.post("/v1/chains", &vec![0; limits::ENTRY_BYTES_MAX + 1]).await), (413, "too-large".into()));
    assert_eq!(told(&house.post("/v1/nonces", bytes).await), (400, "malformed".into()), "an entry is no nonce");
    assert_eq!(told(&house.post("/v1/nonces", &vec![0; 2000]).await), (413, "too-large".into()));
    assert_eq!(told(&house.post("/v1/log", b"\xa0").await), (400, "malformed".into()));
    assert_eq!(told(&house.post("/v1/nothing", b"").await), (404, "not-found".into()));
    assert_eq!(told(&house.post("/livez", b"").await), (405, "method-not-allowed".into()));
}

#[tokio::test]
async fn an_entry_of_a_kind_that_does_not_exist_yet_is_refused_by_name() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let phone = Joiner::new(laptop.keyring.code());
    let deny = laptop.denies(&phone, 0);
    let mut bytes = deny.bytes().to_vec();
    // The body of an entry is `[kind, {…}]`; kind 3 becomes kind 13, and the signature no longer holds.
    let at = bytes.windows(3).position(|window| window == [0x82, 0x03, 0xa4]).unwrap();
    bytes[at + 1] = 13;
    let append = protocol::wire::Append { entries: vec![bytes.into()], purpose: protocol::wire::Purpose::New };
    assert_eq!(told(&house.post("/v1/log", &protocol::cbor::encode(&append)).await), (400, "bad-signature".into()));
    let mut form = (*deny).clone();
    form.body = protocol::entry::Body::Unknown { kind: 13, raw: vec![0xa0].into() };
    assert!(matches!(
        Verified::sign(form, &laptop.keys.signing, &[]),
        Err(protocol::FormError::UnknownKind { kind: 13, name: "unknown" })
    ));
}

#[tokio::test]
async fn a_request_with_another_description_or_an_unknown_code_is_refused_and_nothing_is_pushed() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let mut swapped = Joiner::new(laptop.keyring.code());
    swapped.description = Joiner::new(laptop.keyring.code()).description;
    assert_eq!(told(&swapped.asks(&house).await), (400, "bad-field".into()));
    let stranger = Joiner::new(&protocol::code::SyncCode::draw(&mut rng()));
    assert_eq!(told(&stranger.asks(&house).await), (404, "unknown-join-key".into()));
    let open: OpenRequests =
        house.read(&laptop.keys, &format!("/v1/chains/{}/requests", laptop.chain())).await.decode();
    assert!(open.requests.is_empty());
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let house = House::start_with(|config| config.rates.requests_per_address = Rate(NonZeroU32::new(2).unwrap())).await;
    let laptop = Member::founds(&house).await;
    let joiner = Joiner::new(laptop.keyring.code());
    for _ in 0..2 {
        assert_eq!(joiner.asks_from(&house, 2).await.status, 202);
    }
    let refused = joiner.asks_from(&house, 2).await;
    assert_eq!(told(&refused), (429, "too-many-requests".into()));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(joiner.asks_from(&house, 3).await.status, 202);
}

#[tokio::test]
async fn an_address_that_is_refused_too_often_is_not_served_for_a_while() {
    let house = House::start_with(|config| config.rates.refused_per_address = Rate(NonZeroU32::new(3).unwrap())).await;
    let from = IpAddr::from([127, 0, 0, 7]);
    for _ in 0..4 {
        assert_eq!(house.post_from(from, "/v1/nonces", b"x").await.status, 400);
    }
    assert_eq!(told(&house.post_from(from, "/v1/nonces", b"x").await), (429, "too-many-requests".into()));
    assert_eq!(house.post("/v1/nonces", b"x").await.status, 400);
}

#[tokio::test]
async fn validly_signed_forms_of_requests_that_do_not_exist_are_counted_as_refused() {
    let house = House::start_with(|config| config.rates.refused_per_address = Rate(NonZeroU32::new(3).unwrap())).await;
    let laptop = Member::founds(&house).await;
    let stranger = Joiner::new(laptop.keyring.code());
    let from = IpAddr::from([127, 0, 0, 7]);
    for _ in 0..4 {
        let refused = house.post_from(from, "/v1/withdrawals", stranger.withdrawal().bytes()).await;
        assert_eq!(told(&refused), (409, "request-unknown".into()));
    }
    assert_eq!(house.post_from(from, "/v1/withdrawals", stranger.withdrawal().bytes()).await.status, 429);
}

#[tokio::test]
async fn members_are_shown_the_address_that_a_trusted_proxy_saw_and_no_spoofed_one() {
    let trusting = House::start_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    for (house, expected) in
        [(trusting, ("2001:db8::9", Some("127.0.0.1"))), (House::start().await, ("127.0.0.1", None))]
    {
        let laptop = Member::founds(&house).await;
        let mut screen = laptop.connects(&house, None).await;
        let phone = Joiner::new(laptop.keyring.code());
        let answer = house.post_forwarded("/v1/requests", &phone.ask_bytes(), "6.6.6.6, 2001:db8::9").await;
        assert_eq!(answer.status, 202);
        let ToDevice::Requested(open) = screen.next().await else { panic!("expected the request") };
        assert_eq!((open.seen.address.as_str(), open.seen.proxy.as_deref()), expected);
    }
}

/// Reads until the relay closes; returns what it said.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closed in time")
    {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off_while_others_are_served() {
    let house = House::start_with(|config| config.timeouts.handshake = Duration::from_millis(200)).await;
    let mut slow = TcpStream::connect(house.address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: ").await.unwrap();
    assert_eq!(house.get("/livez", &[]).await.status, 200);
    to_the_end(&mut slow).await;
}

#[tokio::test]
async fn a_crowd_of_half_open_connections_pushes_out_its_own_oldest() {
    let house = House::start_with(|config| config.connections.unproven = 2).await;
    let laptop = Member::founds(&house).await;
    let _proven = laptop.connects(&house, None).await;
    let mut oldest = TcpStream::connect(house.address).await.unwrap();
    oldest.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let _crowd = [TcpStream::connect(house.address).await.unwrap(), TcpStream::connect(house.address).await.unwrap()];
    to_the_end(&mut oldest).await;
    assert!(house.relay.registry.is_online(&laptop.chain()), "who proved itself stays");
}

#[tokio::test]
async fn every_answer_carries_the_relays_clock_and_a_problem_its_own_id() {
    let house = House::start().await;
    assert!(house.get("/livez", &[]).await.headers.contains_key("countersign-time"));
    assert_eq!(house.get("/readyz", &[]).await.status, 200);
    let known = house.get("/.well-known/countersign", &[]).await.json();
    assert_eq!(known["subprotocols"][0], "countersign.v1");
    let problem = house.get("/nothing", &[]).await;
    assert_eq!(problem.headers["content-type"], "application/problem+json");
    let body = problem.json();
    assert_eq!(body["type"], "urn:countersign:problem:not-found");
    assert_eq!(body["status"], 404);
    assert!(body["instance"].as_str().unwrap().starts_with("urn:uuid:"));
    // axum refuses what is no UTF-8 by itself, and in words of its own.
    for path in ["/v1/chains/%ff/log", "/v1/chains/0/records/%c3%28/0", "/v1/requests/%f0%90"] {
        assert_eq!(told(&house.get(path, &[]).await), (400, "malformed".to_owned()), "{path}");
    }
    let socket = house.get("/v1/socket", &[]).await;
    assert_eq!(told(&socket), (400, "malformed".into()));
}
