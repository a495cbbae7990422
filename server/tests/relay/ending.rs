//! The end of a chain, as its members and joiners hear of it.

use protocol::approval::Subject;
use protocol::change;
use protocol::policy::Policy;
use protocol::wire::{Purpose, ToDevice, close};

use crate::harness::{House, Joiner, Member};

#[tokio::test]
async fn a_close_is_refused_until_the_delay_of_its_closing_has_passed_here() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let closing = change::closing(laptop.acting(), Vec::new(), 3).unwrap();
    assert_eq!(house.append(&closing).await.status, 200);
    laptop.follows(&closing);
    let early = house.append(&change::close(laptop.acting(), closing.hash(), 4).unwrap()).await;
    assert_eq!((early.status, early.code().as_str()), (409, "closing-too-early"));
    let left = early.json()["left"].as_u64().unwrap();
    let week = 7 * 24 * 3600 * 1000;
    assert!((week - 60_000..=week).contains(&left), "{left}");
}

#[tokio::test]
async fn a_closed_chain_is_read_and_nothing_else() {
    let house = House::start().await;
    let mut laptop = Member::founds_with(&house, Policy { closing_delay: 0, ..Policy::default() }).await;
    assert_eq!(laptop.puts(&house, "a").await.status, 200);
    let phone = Joiner::new(laptop.keyring.code());
    assert_eq!(phone.asks(&house).await.status, 202);
    let mut waiting = phone.connects(&house).await;
    assert!(matches!(waiting.next().await, ToDevice::Standing(_)));
    let closing = change::closing(laptop.acting(), Vec::new(), 3).unwrap();
    laptop.follows(&closing);
    let end = change::close(laptop.acting(), closing.hash(), 4).unwrap();
    assert_eq!(house.append_as(&[&closing, &end], Purpose::New).await.status, 200);
    laptop.follows(&end);
    assert_eq!(waiting.closed().await.0, close::REFUSED, "its request is gone with the rest");
    assert_eq!(phone.asks(&house).await.code(), "chain-closed");
    assert_eq!(laptop.log(&house).await.len(), 3);
    assert!(laptop.feed(&house).await.is_empty());
    let mut socket = laptop.connects(&house, None).await;
    let refused = laptop.puts(&house, "b").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "chain-closed"));
    let nonce = laptop.nonce(phone.id(), 1);
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.code(), "chain-closed");
    let approval = change::approve(laptop.acting(), Subject::Closing).unwrap();
    assert_eq!(house.post("/v1/approvals", approval.bytes()).await.code(), "chain-closed");
    assert_eq!(house.append(&change::closing(laptop.acting(), Vec::new(), 5).unwrap()).await.code(), "chain-closed");
    let stranger = Member::founds(&house).await;
    let (mine, theirs) = (laptop.chain(), format!("/v1/chains/{}/log", laptop.chain()));
    assert_eq!(house.read(&stranger.keys, &theirs).await.code(), "not-a-member", "{mine}");
    drop(house.stop().await);
    assert_eq!(socket.closed().await.0, close::RESTART, "members stay connected until they go");
}
