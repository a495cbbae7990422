//! A device that was let in without any prompt learns its chain from what it is told of its request.

use protocol::policy::{How, Policy, Role};
use protocol::request::Description;
use protocol::wire::Stage;
use protocol::{change, decision};

use crate::harness::{House, Joiner, Member, rng};
use crate::members::phone_of;

#[tokio::test]
async fn a_chain_is_named_to_a_device_that_was_let_in_without_a_nonce_and_to_no_other() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let _ = phone_of(&house, &mut laptop).await;
    let ways = vec![How::Typed, How::None];
    let entry = change::change_policy(laptop.acting(), Policy { ways, ..Policy::default() }, Vec::new(), 3).unwrap();
    assert_eq!(house.append(&entry).await.status, 200);
    laptop.follows(&entry);
    let joiner = Joiner::new(laptop.keyring.code());
    assert_eq!(joiner.asks(&house).await.status, 202);
    assert_eq!(joiner.standing(&house).await.chain, None, "a stranger with the sync code is told nothing");
    let described = Description { name: "x".into(), platform: "x".into(), version: "x".into(), totp: None };
    let request = std::sync::Arc::new(joiner.request.clone());
    let admit = decision::admit_unchecked(laptop.acting(), &request, &described, Role::Writer, 4, &mut rng()).unwrap();
    assert_eq!(house.append(&admit).await.status, 200);
    let told = joiner.standing(&house).await;
    assert_eq!((told.stage, told.chain), (Stage::Admitted, Some(laptop.chain())));
}
