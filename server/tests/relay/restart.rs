//! What survives a restart.

use protocol::wire::{Stage, Standing, ToDevice};

use crate::harness::{House, Joiner, Member};

#[tokio::test]
async fn a_request_with_its_rounds_survives_a_restart_and_the_same_bytes_get_the_same_answers() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = Joiner::new(laptop.keyring.code());
    phone.asks(&house).await;
    let nonce = laptop.nonce(phone.id(), 1);
    house.post("/v1/nonces", nonce.bytes()).await;

    let house = house.restart().await;
    let again: Standing = phone.asks(&house).await.decode();
    assert_eq!((again.stage, again.nonces.len()), (Stage::Code, 1));
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.status, 200);
    let mut screen = laptop.connects(&house, None).await;
    assert!(matches!(screen.next().await, ToDevice::Requested(open) if open.rounds.len() == 1));
    let answer = phone.rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    let admit = laptop.admits(&phone, &nonce, &answer.reveal, &answer.code.digits());
    let appended: protocol::wire::Appended = house.append(&admit).await.decode();

    let house = house.restart().await;
    assert_eq!(house.append(&admit).await.decode::<protocol::wire::Appended>(), appended);
    assert_eq!(phone.standing(&house).await.stage, Stage::Admitted);
    laptop.follows(&admit);
    let _ = laptop.connects(&house, None).await;
}
