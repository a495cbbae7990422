//! What a joiner can find out after it was denied: nothing.

use protocol::wire::{Stage, Standing, ToDevice};

use crate::harness::{House, Joiner, Member};

#[tokio::test]
async fn a_denied_joiner_is_told_waiting_on_every_route_and_may_still_answer_its_nonce() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = Joiner::new(laptop.keyring.code());
    phone.asks(&house).await;
    let nonce = laptop.nonce(phone.id(), 1);
    house.post("/v1/nonces", nonce.bytes()).await;
    let before = phone.standing(&house).await;
    let mut socket = phone.connects(&house).await;
    assert!(matches!(socket.next().await, ToDevice::Standing(told) if told.stage == Stage::Code));

    let deny = laptop.denies(&phone, 0);
    assert_eq!(house.append(&deny).await.status, 200);
    laptop.follows(&deny);

    let after = phone.standing(&house).await;
    assert_eq!(Standing { remaining: 0, ..before }, Standing { remaining: 0, ..after });
    let answer = phone.rounds.answer(nonce, &phone.keys.signing).unwrap();
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    let again: Standing = phone.asks(&house).await.decode();
    assert_eq!(again.stage, Stage::Code);
    // The socket says nothing until a member comes: then it says what it would say to anybody.
    let _member = laptop.connects(&house, None).await;
    assert!(matches!(socket.next().await, ToDevice::Standing(told) if told.stage == Stage::Code && told.online));
    let withdrawn: Standing = house.post("/v1/withdrawals", phone.withdrawal().bytes()).await.decode();
    assert_eq!(withdrawn.stage, Stage::Withdrawn);
}

#[tokio::test]
async fn the_sixth_request_of_a_day_is_unknown_to_members_on_every_route() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    for _ in 0..5 {
        let joiner = Joiner::new(laptop.keyring.code());
        assert_eq!(joiner.asks(&house).await.status, 202);
        house.post("/v1/withdrawals", joiner.withdrawal().bytes()).await;
    }
    let sixth = Joiner::new(laptop.keyring.code());
    let standing: Standing = sixth.asks(&house).await.decode();
    assert_eq!(standing.stage, Stage::Waiting);
    let open: protocol::wire::OpenRequests =
        house.read(&laptop.keys, &format!("/v1/chains/{}/requests", laptop.chain())).await.decode();
    assert!(open.requests.is_empty());
    let refused = house.post("/v1/nonces", laptop.nonce(sixth.id(), 1).bytes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "request-unknown"));
}

#[tokio::test]
async fn a_fourth_request_that_waits_is_told_when_to_come_back() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let waiting = [(); 3].map(|()| Joiner::new(laptop.keyring.code()));
    for joiner in &waiting {
        assert_eq!(joiner.asks(&house).await.status, 202);
    }
    let fourth = Joiner::new(laptop.keyring.code());
    let refused = fourth.asks(&house).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "too-many-pending"));
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 900);
    assert_eq!(waiting[0].asks(&house).await.status, 202, "the same bytes are no new request");
    house.post("/v1/withdrawals", waiting[1].withdrawal().bytes()).await;
    assert_eq!(fourth.asks(&house).await.status, 202, "a withdrawn request frees its slot");
}
