//! WebSockets: who may connect, what is pushed, and who is cut off.

use std::future::poll_fn;
use std::sync::mpsc;
use std::time::Duration;

use countersign_relay::registry::{News, Wake};
use countersign_relay::run::Drained;
use protocol::connect::{Connect, Cursor, Standing};
use protocol::id::Random;
use protocol::wire::{Ack, FromDevice, Put, ToDevice, close};
use protocol::{SUBPROTOCOL, VERSION, Verified};

use crate::harness::{House, Joiner, Member, admitted, rng};

async fn refused(house: &House, member: &Member, change: impl FnOnce(&mut Connect)) -> u16 {
    let (mut socket, challenge) = house.socket().await;
    let mut form = Connect {
        version: VERSION,
        offered: vec![SUBPROTOCOL.into()],
        origin: house.origin(),
        relay_nonce: challenge.nonce,
        own_nonce: Random::draw(&mut rng()),
        chain: Some(member.chain()),
        device: member.keys.id(),
        standing: Standing::Member,
        request: None,
        head: Some(member.roster.head()),
        cursor: None,
    };
    change(&mut form);
    socket.send(Verified::sign(form, &member.keys.signing, &[]).unwrap().bytes()).await;
    socket.closed().await.0
}

#[tokio::test]
async fn a_connect_for_another_challenge_origin_or_list_of_versions_is_refused() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    assert_eq!(refused(&house, &laptop, |form| form.relay_nonce.0[0] ^= 1).await, close::REFUSED);
    assert_eq!(refused(&house, &laptop, |form| form.origin = "http://evil.example".into()).await, close::REFUSED);
    let fewer = |form: &mut Connect| form.offered.push("countersign.v2".into());
    assert_eq!(refused(&house, &laptop, fewer).await, close::REFUSED);
    let (_, stranger) = crate::harness::founding(protocol::policy::Policy::default());
    let of_stranger = refused(&house, &stranger, |form| form.chain = Some(laptop.chain())).await;
    assert_eq!((of_stranger, refused(&house, &stranger, |_| {}).await), (close::NOT_A_MEMBER, close::NOT_A_MEMBER));
}

#[tokio::test]
async fn a_socket_that_says_what_no_device_says_is_closed_with_4400() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let (mut unparsed, _) = house.socket().await;
    unparsed.send(b"hello").await;
    assert_eq!(unparsed.closed().await.0, close::PROTOCOL);
    let (mut oversized, _) = house.socket().await;
    oversized.send(&[0; 5000]).await;
    assert_eq!(oversized.closed().await.0, close::PROTOCOL);
    let mut acknowledges_nothing = laptop.connects(&house, None).await;
    acknowledges_nothing.send(&FromDevice::Ack(Ack { seq: 0, number: 0 }).to_bytes()).await;
    assert_eq!(acknowledges_nothing.closed().await.0, close::PROTOCOL);
}

#[tokio::test]
async fn a_silent_socket_is_refused_and_a_deaf_one_too_slow() {
    let house = House::start_with(|config| {
        config.timeouts.handshake = Duration::from_millis(100);
        config.timeouts.idle = Duration::from_millis(100);
    })
    .await;
    let mut laptop = Member::founds(&house).await;
    let (mut silent, _) = house.socket().await;
    assert_eq!(silent.closed().await.0, close::REFUSED);
    let mut deaf = laptop.connects(&house, None).await;
    let record = laptop.writes("a", Some(b"1"), None);
    house.post("/v1/records", &protocol::cbor::encode(&Put { records: vec![record], refill: None })).await;
    assert_eq!(deaf.closed().await.0, close::TOO_SLOW, "it never acknowledged");
}

#[tokio::test]
async fn at_most_four_messages_are_on_their_way_and_the_rest_follows_the_acknowledgements() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    // Each fills a page of its own.
    let big = vec![7; 70_000];
    for number in 0..6 {
        let record = laptop.writes(&format!("note {number}"), Some(&big), None);
        let answer =
            house.post("/v1/records", &protocol::cbor::encode(&Put { records: vec![record], refill: None })).await;
        assert_eq!(answer.status, 200);
    }
    let mut socket = laptop.connects(&house, None).await;
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let ToDevice::Records(page) = socket.next().await else { panic!("expected records") };
        numbers.extend(page.rows.iter().map(|row| row.number));
    }
    // A request is pushed beside a full window, and shows that no fifth page was before it.
    let phone = Joiner::new(laptop.keyring.code());
    phone.asks(&house).await;
    assert!(matches!(socket.next().await, ToDevice::Requested(_)));
    let ack = FromDevice::Ack(Ack { seq: 0, number: 4 }).to_bytes();
    for _ in 0..2 {
        socket.send(&ack).await;
        let ToDevice::Records(page) = socket.next().await else { panic!("expected records") };
        numbers.extend(page.rows.iter().map(|row| row.number));
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_member_resumes_by_head_and_cursor_and_a_foreign_cursor_begins_anew() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let founding_head = laptop.roster.head();
    let records = vec![laptop.writes("a", Some(b"1"), None), laptop.writes("b", Some(b"2"), None)];
    house.post("/v1/records", &protocol::cbor::encode(&Put { records, refill: None })).await;
    admitted(&house, &mut laptop).await;
    let store = house.relay.store.identity();
    let mut behind = laptop.says_connect(&house, founding_head, Some(Cursor { store, number: 1 })).await;
    assert!(matches!(behind.next().await, ToDevice::Ready(ready) if ready.knows_your_head && ready.seq == 1));
    assert!(matches!(behind.next().await, ToDevice::Entries(page) if page.entries.len() == 1));
    let ToDevice::Records(page) = behind.next().await else { panic!("expected records") };
    assert_eq!(page.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
    let mut foreign = laptop.connects(&house, Some(Cursor { store: store ^ 1, number: 2 })).await;
    assert!(matches!(foreign.next().await, ToDevice::Records(page) if page.rows.len() == 2));
}

#[tokio::test]
async fn a_device_with_an_unknown_head_is_told_so_and_hears_what_comes_after() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut unknown = laptop.roster.head();
    unknown.0[0] ^= 1;
    let mut socket = laptop.says_connect(&house, unknown, None).await;
    assert!(matches!(socket.next().await, ToDevice::Ready(ready) if !ready.knows_your_head && ready.seq == 0));
    let phone = Joiner::new(laptop.keyring.code());
    phone.asks(&house).await;
    assert!(matches!(socket.next().await, ToDevice::Requested(_)));
    let deny = laptop.denies(&phone, 0);
    house.append(&deny).await;
    laptop.follows(&deny);
    assert!(matches!(socket.next().await, ToDevice::Entries(page) if page.entries.len() == 1 && page.seq == 1));
}

#[tokio::test]
async fn an_approver_that_comes_late_is_shown_the_request_and_the_joiner_that_it_came() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let phone = Joiner::new(laptop.keyring.code());
    phone.asks(&house).await;
    let mut waiting = phone.connects(&house).await;
    assert!(matches!(waiting.next().await, ToDevice::Standing(told) if !told.online));
    let mut screen = laptop.connects(&house, None).await;
    assert!(matches!(screen.next().await, ToDevice::Requested(_)));
    assert!(matches!(waiting.next().await, ToDevice::Standing(told) if told.online));
    drop(screen);
    assert!(matches!(waiting.next().await, ToDevice::Standing(told) if !told.online));
}

#[tokio::test]
async fn a_relay_that_stops_says_restart_with_a_hint_and_ends_gracefully() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let mut socket = laptop.connects(&house, None).await;
    let stopping = tokio::spawn(house.stop());
    let (code, hint) = socket.closed().await;
    assert_eq!(code, close::RESTART);
    assert!(hint.parse::<u64>().unwrap() < 60_000);
    drop(socket);
    assert_eq!(stopping.await.unwrap().1, Drained::Gracefully);
}

/// The sender goes away while the writer is at its job: whoever is connected is told all the same.
#[tokio::test]
async fn what_is_stored_is_announced_although_its_sender_hung_up() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let chain = laptop.chain();
    let mut seat = house.relay.registry.register(chain, Standing::Member);
    assert_eq!(poll_fn(|cx| seat.poll_news(cx)).await, News::ALL, "as at each beginning");
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let job = move |_: countersign_relay::store::Tx<'_>| {
        begun.send(()).unwrap();
        let _ = goes.recv();
        Ok(())
    };
    let mut change = Box::pin(house.relay.change(job, move |()| Some(Wake::all(chain, News::RECORDS))));
    assert!(futures_util::poll!(&mut change).is_pending());
    begins.recv().unwrap();
    drop(change);
    go.send(()).unwrap();
    let news = tokio::time::timeout(Duration::from_secs(10), poll_fn(|cx| seat.poll_news(cx))).await;
    assert_eq!(news.unwrap(), News::RECORDS);
}
