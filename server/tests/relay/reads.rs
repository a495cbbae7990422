//! Reads: signed by a member, for this relay, now.

use std::future::poll_fn;
use std::task::Poll;

use countersign_relay::registry::News;
use protocol::connect::Standing;
use protocol::http_signature;
use protocol::id::Random;
use protocol::wire::{Put, RecordPage};

use crate::harness::{Answer, House, Joiner, Member, rng};

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn a_stranger_is_told_the_same_of_a_chain_that_exists_and_of_one_that_does_not() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let thief = Joiner::new(laptop.keyring.code());
    thief.asks(&house).await;
    let (here, nowhere) = (laptop.chain().to_string(), "00".repeat(32));
    for route in ["log", "requests", "records", &format!("records/{nowhere}/{nowhere}")] {
        let of = |chain: &str| format!("/v1/chains/{chain}/{route}");
        assert_eq!(told(&house.read(&thief.keys, &of(&here)).await), (403, "not-a-member".to_owned()));
        assert_eq!(told(&house.read(&thief.keys, &of(&nowhere)).await), (403, "not-a-member".to_owned()));
    }
    let request = house.read(&laptop.keys, &format!("/v1/requests/{}", thief.id())).await;
    assert_eq!(told(&request), (404, "not-found".to_owned()), "a standing is its own joiner's");
}

#[tokio::test]
async fn a_read_signed_for_another_relay_another_path_or_another_time_is_refused() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let path = format!("/v1/chains/{}/log", laptop.chain());
    let now = house.relay.now().wall / 1000;
    let read = async |target: String, created: u64, path: &str| {
        let signed = http_signature::sign(&laptop.keys.signing, "GET", &target, created, Random::draw(&mut rng()));
        let answer = house.get(path, &[("signature-input", &signed.input), ("signature", &signed.signature)]).await;
        if answer.status == 200 { "ok".to_owned() } else { answer.code() }
    };
    let origin = house.origin();
    assert_eq!(read(format!("{origin}{path}"), now, &path).await, "ok");
    assert_eq!(read(format!("http://localhost:{}{path}", house.address.port()), now, &path).await, "ok");
    assert_eq!(read(format!("http://evil.example{path}"), now, &path).await, "bad-signature");
    assert_eq!(read(format!("{origin}{path}"), now, &format!("{path}?after=0")).await, "bad-signature");
    assert_eq!(read(format!("{origin}{path}"), now - 120, &path).await, "clock");
    assert_eq!(house.get(&path, &[]).await.code(), "signature-missing");
    let twice = [("signature-input", "a=1"), ("signature-input", "b=1"), ("signature", "a=:AA==:")];
    assert_eq!(house.get(&path, &twice).await.code(), "malformed");
}

#[tokio::test]
async fn the_feed_comes_in_pages_and_begins_anew_for_a_cursor_of_another_store() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let records = (0..5).map(|number| laptop.writes(&format!("note {number}"), Some(b"x"), None)).collect();
    let put = protocol::cbor::encode(&Put { records, refill: None });
    let mut seat = house.relay.registry.register(laptop.chain(), Standing::Member);
    for rings in [Poll::Ready(News::ALL), Poll::Pending] {
        let stored: protocol::wire::Stored = house.post("/v1/records", &put).await.decode();
        assert_eq!(stored.numbers, [1, 2, 3, 4, 5], "the same bytes get the same numbers");
        assert_eq!(poll_fn(|cx| Poll::Ready(seat.poll_news(cx))).await, rings, "and wake nobody");
    }
    let feed = async |query: &str| -> RecordPage {
        house.read(&laptop.keys, &format!("/v1/chains/{}/records{query}", laptop.chain())).await.decode()
    };
    let numbers = |page: &RecordPage| page.rows.iter().map(|row| row.number).collect::<Vec<_>>();
    let page = feed("?after=1&limit=2").await;
    assert_eq!((numbers(&page), page.cursor.number, page.last), (vec![2, 3], 3, 5));
    assert_eq!(numbers(&feed("?after=5").await), Vec::<u64>::new());
    let store = page.cursor.store;
    assert_eq!(numbers(&feed(&format!("?store={store}&after=4")).await), [5]);
    assert_eq!(numbers(&feed(&format!("?store={}&after=4", store ^ 1)).await).len(), 5);
    let wrong = house.read(&laptop.keys, &format!("/v1/chains/{}/records?since=1", laptop.chain())).await;
    assert_eq!(told(&wrong), (400, "malformed".to_owned()));
    for number in ["+5", "-1", "5x", ""] {
        let path = format!("/v1/chains/{}/records?after={number}", laptop.chain());
        assert_eq!(told(&house.read(&laptop.keys, &path).await), (400, "malformed".to_owned()), "{number:?}");
    }
}

#[tokio::test]
async fn a_name_in_the_query_that_a_route_does_not_know_is_refused_on_all_of_them() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let (chain, id) = (laptop.chain(), laptop.keys.id());
    for path in [
        format!("/v1/chains/{chain}/log"),
        format!("/v1/chains/{chain}/requests"),
        format!("/v1/chains/{chain}/approvals"),
        format!("/v1/chains/{chain}/records"),
        format!("/v1/chains/{chain}/records/{id}/{id}"),
        format!("/v1/requests/{id}"),
        format!("/v1/join-keys/{id}"),
        format!("/v1/keys/{id}"),
    ] {
        let wrong = house.read(&laptop.keys, &format!("{path}?since=1")).await;
        assert_eq!(told(&wrong), (400, "malformed".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_refused_batch_says_which_record_and_why() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let good = laptop.writes("a", Some(b"1"), None);
    let conflict = laptop.writes("a", Some(b"2"), None);
    let put = Put { records: vec![good, conflict], refill: None };
    let refused = house.post("/v1/records", &protocol::cbor::encode(&put)).await;
    assert_eq!((told(&refused), &refused.json()["index"]), ((409, "conflict".to_owned()), &1.into()));
    let stranger = Joiner::new(laptop.keyring.code());
    let keys = std::mem::replace(&mut laptop.keys, stranger.keys);
    laptop.line = Default::default();
    let forged = laptop.writes("b", Some(b"3"), None);
    laptop.keys = keys;
    let refused =
        house.post("/v1/records", &protocol::cbor::encode(&Put { records: vec![forged], refill: None })).await;
    assert_eq!(told(&refused), (403, "not-a-member".to_owned()));
}
