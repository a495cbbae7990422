//! A reset over real sockets: who hears of it, and what is left afterwards.

use std::net::IpAddr;
use std::num::NonZeroU32;

use countersign_relay::rates::Rate;
use data_encoding::BASE64;
use protocol::change;
use protocol::code::SyncCode;
use protocol::entry::VetoOf;
use protocol::keys::{DeviceKeys, SigningKey};
use protocol::policy::Policy;
use protocol::reset::Reset;
use protocol::wire::{ChainOfKey, ResetStanding, ToDevice, close};
use protocol::{VERSION, Verified};

use crate::harness::{House, Joiner, Member, rng};

/// Keys whose signing key is the join key of a code: what signs reads as the holder of the code.
fn holder(code: &SyncCode) -> DeviceKeys {
    DeviceKeys { signing: code.join_key(), ..DeviceKeys::draw(&mut rng()) }
}

fn reset(known: &ChainOfKey, wait: u64, key: &SigningKey) -> Verified<Reset> {
    let form = Reset { version: VERSION, chain: known.chain, head: known.head, wait };
    Verified::sign(form, key, &[]).unwrap()
}

async fn known(house: &House, code: &SyncCode) -> ChainOfKey {
    let holder = holder(code);
    house.read(&holder, &format!("/v1/join-keys/{}", holder.id())).await.decode()
}

#[tokio::test]
async fn who_has_only_the_code_announces_a_reset_and_every_member_hears_of_it_at_each_connect() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let code = laptop.keyring.code().clone();
    let known = known(&house, &code).await;
    assert_eq!((known.chain, known.reset_delay), (laptop.chain(), 604_800));
    let mut screen = laptop.connects(&house, None).await;
    let form = reset(&known, 604_800, &code.join_key());
    for _ in 0..2 {
        let answer = house.post("/v1/resets", form.bytes()).await;
        assert_eq!(answer.status, 202);
        let standing: ResetStanding = answer.decode();
        assert!(*standing.reset == **form.bytes() && standing.remaining > 604_740_000, "{standing:?}");
    }
    let other = reset(&known, 604_801, &code.join_key());
    assert_eq!(house.post("/v1/resets", other.bytes()).await.code(), "reset-stands");
    assert!(matches!(screen.next().await, ToDevice::Reset(standing) if *standing.reset == **form.bytes()));
    let house = house.restart().await;
    let mut again = laptop.connects(&house, None).await;
    assert!(matches!(again.next().await, ToDevice::Reset(standing) if *standing.reset == **form.bytes()));
    let veto = change::veto(laptop.acting(), VetoOf::Reset, form.hash(), 3).unwrap();
    assert_eq!(house.append(&veto).await.status, 200);
    laptop.follows(&veto);
    assert!(matches!(again.next_acknowledged().await, ToDevice::Entries(_)));
    assert_eq!(house.post("/v1/resets", form.bytes()).await.code(), "reset-over");
    let phone = Joiner::new(laptop.keyring.code());
    let mut after = laptop.connects(&house, None).await;
    assert_eq!(phone.asks(&house).await.status, 202);
    assert!(matches!(after.next().await, ToDevice::Requested(_)), "nothing stands any more");
}

#[tokio::test]
async fn members_are_told_of_a_reset_that_takes_anothers_place() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let code = laptop.keyring.code().clone();
    let known = known(&house, &code).await;
    let mut screen = laptop.connects(&house, None).await;
    for wait in [31_536_000, 604_800] {
        let form = reset(&known, wait, &code.join_key());
        assert_eq!(house.post("/v1/resets", form.bytes()).await.status, 202);
        assert!(matches!(screen.next().await, ToDevice::Reset(standing) if *standing.reset == **form.bytes()));
    }
}

#[tokio::test]
async fn strangers_learn_nothing_and_too_short_a_wait_is_refused_with_the_least() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let code = laptop.keyring.code().clone();
    let known = known(&house, &code).await;
    let path = format!("/v1/join-keys/{}", code.join_key().join_key());
    let refused = house.read(&laptop.keys, &path).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not-a-member"), "a member is not the join key");
    let (unknown, foreign) = (SyncCode::draw(&mut rng()), holder(&SyncCode::draw(&mut rng())));
    let none = house.read(&holder(&unknown), &format!("/v1/join-keys/{}", unknown.join_key().join_key())).await;
    assert_eq!((none.status, none.code().as_str()), (404, "unknown-join-key"));
    let strange = house.post("/v1/resets", reset(&known, 604_800, &foreign.signing).bytes()).await;
    let nowhere = ChainOfKey { chain: protocol::ChainId([7; 32]), ..known };
    let nowhere = house.post("/v1/resets", reset(&nowhere, 604_800, &foreign.signing).bytes()).await;
    assert_eq!((strange.status, strange.code().as_str()), (403, "not-a-member"));
    assert_eq!((nowhere.status, nowhere.code().as_str()), (403, "not-a-member"));
    let short = house.post("/v1/resets", reset(&known, 604_799, &code.join_key()).bytes()).await;
    assert_eq!(
        (short.status, short.code().as_str(), short.json()["least"].as_u64()),
        (409, "wait-too-short", Some(604_800))
    );
}

#[tokio::test]
async fn whoever_asks_for_a_chain_that_was_reset_is_counted_as_refused() {
    let house = House::start_with(|config| config.rates.refused_per_address = Rate(NonZeroU32::new(3).unwrap())).await;
    let laptop = Member::founds_with(&house, Policy { reset_delay: 0, ..Policy::default() }).await;
    let code = laptop.keyring.code();
    let form = reset(&known(&house, code).await, 0, &code.join_key());
    let mut screen = laptop.connects(&house, None).await;
    assert_eq!(house.post("/v1/resets", form.bytes()).await.status, 202);
    assert_eq!(screen.closed().await.0, close::RESET);
    let from = IpAddr::from([127, 0, 0, 7]);
    let nonce = laptop.nonce(Joiner::new(code).id(), 1);
    for _ in 0..4 {
        assert_eq!(house.post_from(from, "/v1/nonces", nonce.bytes()).await.code(), "reset");
    }
    assert_eq!(house.post_from(from, "/v1/nonces", nonce.bytes()).await.code(), "too-many-requests");
}

#[tokio::test]
async fn a_chain_that_was_reset_is_gone_on_every_route_and_socket_with_the_signed_form_as_the_reason() {
    let house = House::start().await;
    let mut laptop = Member::founds_with(&house, Policy { reset_delay: 0, ..Policy::default() }).await;
    assert_eq!(laptop.puts(&house, "a").await.status, 200);
    let code = laptop.keyring.code().clone();
    let known = known(&house, &code).await;
    let mut screen = laptop.connects(&house, None).await;
    assert!(matches!(screen.next_acknowledged().await, ToDevice::Records(_)));
    let asking = Joiner::new(&code);
    assert_eq!(asking.asks(&house).await.status, 202);
    let mut waiting = asking.connects(&house).await;
    assert!(matches!(waiting.next().await, ToDevice::Standing(_)));
    let form = reset(&known, 0, &code.join_key());
    assert_eq!(house.post("/v1/resets", form.bytes()).await.status, 202);
    assert_eq!(screen.closed().await.0, close::RESET);
    assert_eq!(waiting.closed().await.0, close::RESET, "one that only asks is told as well");
    assert_eq!(asking.connects(&house).await.closed().await.0, close::REFUSED, "its request is gone");
    assert_eq!(asking.asks(&house).await.code(), "reset", "and asked again it hears of it");
    let mut late = laptop.says_connect(&house, laptop.roster.head(), None).await;
    assert_eq!(late.closed().await.0, close::RESET);
    let phone = Joiner::new(&code);
    let chain = laptop.chain();
    let key = code.join_key().join_key();
    for (keys, path) in [
        (&laptop.keys, format!("/v1/chains/{chain}/log")),
        (&laptop.keys, format!("/v1/chains/{chain}/records")),
        (&laptop.keys, format!("/v1/chains/{chain}/requests")),
        (&laptop.keys, format!("/v1/chains/{chain}/approvals")),
        (&holder(&code), format!("/v1/join-keys/{key}")),
    ] {
        let gone = house.read(keys, &path).await;
        assert_eq!((gone.status, gone.code().as_str()), (410, "reset"), "{path}");
        let told = BASE64.decode(gone.json()["form"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(told, **form.bytes(), "its members see who is said to have wanted it");
    }
    let record = laptop.writes("b", Some(b"1"), None);
    let nonce = laptop.nonce(phone.id(), 1);
    let posts = [
        ("/v1/records", crate::members::put(record)),
        ("/v1/nonces", nonce.bytes().to_vec()),
        ("/v1/requests", phone.ask_bytes()),
        ("/v1/resets", form.bytes().to_vec()),
    ];
    for (path, body) in posts {
        let gone = house.post(path, &body).await;
        assert_eq!((gone.status, gone.code().as_str()), (410, "reset"), "{path}");
    }
    assert_eq!(house.append(&laptop.denies(&phone, 0)).await.code(), "reset");
    let (other, _) = crate::harness::founding(Policy::default());
    assert_eq!(house.post("/v1/chains", other.entry.bytes()).await.status, 201, "other chains go on");
}
