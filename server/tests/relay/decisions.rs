//! Nonces, reveals and decisions that come late, twice, or from the wrong hand.

use protocol::id::Random;
use protocol::policy::Policy;
use protocol::round::Nonce;
use protocol::wire::{Ending, Purpose, Stage, ToDevice};
use protocol::{VERSION, Verified};

use crate::harness::{House, Joiner, Member, admitted, rng};

async fn with_code(house: &House, laptop: &Member) -> (Joiner, Verified<Nonce>, protocol::round::Answer) {
    let mut phone = Joiner::new(laptop.keyring.code());
    assert_eq!(phone.asks(house).await.status, 202);
    let nonce = laptop.nonce(phone.id(), 1);
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.status, 200);
    let answer = phone.rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    (phone, nonce, answer)
}

#[tokio::test]
async fn a_nonce_is_taken_once_a_round_from_an_approver_at_a_known_head_only() {
    let house = House::start().await;
    let (laptop, other) = (Member::founds(&house).await, Member::founds(&house).await);
    let (phone, nonce, _) = with_code(&house, &laptop).await;
    let post = async |nonce: &Verified<Nonce>| {
        let answer = house.post("/v1/nonces", nonce.bytes()).await;
        if answer.status == 200 { "ok".to_owned() } else { answer.code() }
    };
    assert_eq!(post(&nonce).await, "ok", "the same bytes get the same answer");
    assert_eq!(post(&laptop.nonce(phone.id(), 1)).await, "round-taken");
    assert_eq!(post(&laptop.nonce(phone.id(), 3)).await, "round-taken");
    assert_eq!(post(&other.nonce(phone.id(), 2)).await, "request-unknown");
    let change = |change: &dyn Fn(&mut Nonce)| {
        let mut form = (*laptop.nonce(phone.id(), 2)).clone();
        change(&mut form);
        Verified::sign(form, &laptop.keys.signing, &[]).unwrap()
    };
    assert_eq!(post(&change(&|form| form.head.0[0] ^= 1)).await, "unknown-head");
    assert_eq!(post(&change(&|form| form.epoch = 2)).await, "stale-epoch");
    let form = (*laptop.nonce(phone.id(), 2)).clone();
    assert_eq!(post(&Verified::sign(form, &phone.keys.signing, &[]).unwrap()).await, "not-a-member");
    assert_eq!(post(&laptop.nonce(phone.id(), 2)).await, "ok");
    house.post("/v1/withdrawals", phone.withdrawal().bytes()).await;
    assert_eq!(post(&laptop.nonce(phone.id(), 3)).await, "request-closed");
    assert_eq!(post(&nonce).await, "ok", "also after the request is over");
}

#[tokio::test]
async fn a_nonce_is_answered_by_its_joiner_with_the_value_it_committed_to_only() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let (phone, nonce, answer) = with_code(&house, &laptop).await;
    let mut wrong = (*answer.reveal).clone();
    wrong.value.0[0] ^= 1;
    let broken = house.post("/v1/reveals", Verified::sign(wrong, &phone.keys.signing, &[]).unwrap().bytes()).await;
    assert_eq!(broken.code(), "broken-commitment");
    let stranger = Joiner::new(laptop.keyring.code());
    let form = (*answer.reveal).clone();
    let forged = house.post("/v1/reveals", Verified::sign(form, &stranger.keys.signing, &[]).unwrap().bytes()).await;
    assert_eq!(forged.code(), "request-unknown");
    let mut elsewhere = (*answer.reveal).clone();
    elsewhere.nonce = laptop.nonce(phone.id(), 1).hash();
    let elsewhere =
        house.post("/v1/reveals", Verified::sign(elsewhere, &phone.keys.signing, &[]).unwrap().bytes()).await;
    assert_eq!(elsewhere.code(), "other-nonce");
    for _ in 0..2 {
        assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    }
    let _ = nonce;
}

#[tokio::test]
async fn an_admission_of_a_withdrawn_request_is_closed_except_to_heal() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let (phone, nonce, answer) = with_code(&house, &laptop).await;
    let admit = laptop.admits(&phone, &nonce, &answer.reveal, &answer.code.digits());
    house.post("/v1/withdrawals", phone.withdrawal().bytes()).await;
    assert_eq!(house.append(&admit).await.code(), "request-closed");
    // The relay had lost the admission when the withdrawal came: whoever pinned it could append nothing here any more.
    assert_eq!(house.append_as(&[&admit], Purpose::Heal).await.status, 200);
    assert_eq!(house.append(&admit).await.status, 200, "the same bytes get the same answer");
}

#[tokio::test]
async fn an_admission_of_an_unknown_request_is_unknown_except_to_heal() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let mut never = Joiner::new(laptop.keyring.code());
    let nonce = laptop.nonce(never.id(), 1);
    let answer = never.rounds.answer(nonce.clone(), &never.keys.signing).unwrap();
    let unknown = laptop.admits(&never, &nonce, &answer.reveal, &answer.code.digits());
    assert_eq!(house.append(&unknown).await.code(), "request-unknown");
    assert_eq!(house.append_as(&[&unknown], Purpose::Heal).await.status, 200);
    assert_eq!(house.append_as(&[&unknown], Purpose::New).await.status, 200, "the same bytes get the same answer");
}

#[tokio::test]
async fn of_approve_and_deny_at_once_one_wins_and_the_other_is_told_where_the_log_stands() {
    let house = House::start().await;
    let laptop = Member::founds(&house).await;
    let (phone, nonce, answer) = with_code(&house, &laptop).await;
    let admit = laptop.admits(&phone, &nonce, &answer.reveal, &answer.code.digits());
    let deny = laptop.denies(&phone, 0);
    let (one, two) = tokio::join!(house.append(&admit), house.append(&deny));
    let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
    let won: protocol::wire::Appended = won.decode();
    assert_eq!((lost.status, lost.code().as_str()), (409, "head-moved"));
    assert_eq!(lost.json()["head"], won.head.to_string());
    assert_eq!(lost.json()["seq"], 1);
}

#[tokio::test]
async fn a_stranger_cannot_append_and_learns_nothing() {
    let house = House::start().await;
    let (laptop, stranger) = (Member::founds(&house).await, Joiner::new(&protocol::code::SyncCode::draw(&mut rng())));
    let forged = |roster: &protocol::roster::Roster| {
        let target = (stranger.id(), stranger.keys.id());
        protocol::decision::deny(roster, &stranger.keys, target, protocol::entry::DenyReason::Denied, 0, 1).unwrap()
    };
    let here = house.append(&forged(&laptop.roster)).await;
    let (_, elsewhere) = crate::harness::founding(Policy::default());
    let nowhere = house.append(&forged(&elsewhere.roster)).await;
    assert_eq!((here.status, here.code()), (403, "not-a-member".to_owned()));
    assert_eq!((here.status, here.code()), (nowhere.status, nowhere.code()));
}

#[tokio::test]
async fn an_expired_request_vanishes_everywhere_and_cannot_be_admitted() {
    let house = House::start().await;
    let policy = Policy { request_lifetime: 1, ..Policy::default() };
    let laptop = Member::founds_with(&house, policy).await;
    let mut screen = laptop.connects(&house, None).await;
    let (phone, nonce, answer) = with_code(&house, &laptop).await;
    let mut socket = phone.connects(&house).await;
    while !matches!(screen.next().await, ToDevice::Ended(ended) if ended.ending == Ending::Expired) {}
    while !matches!(socket.next().await, ToDevice::Standing(told) if told.stage == Stage::Expired) {}
    let admit = laptop.admits(&phone, &nonce, &answer.reveal, &answer.code.digits());
    assert_eq!(house.append(&admit).await.code(), "request-closed");
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.code(), "request-closed");
    let late = Nonce { round: 2, nonce: Random::draw(&mut rng()), version: VERSION, ..(*nonce).clone() };
    let late = Verified::sign(late, &laptop.keys.signing, &[]).unwrap();
    assert_eq!(house.post("/v1/nonces", late.bytes()).await.code(), "request-closed");
}

#[tokio::test]
async fn an_admitted_joiner_is_told_so_also_when_it_asks_again() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let phone = admitted(&house, &mut laptop).await;
    assert_eq!(phone.standing(&house).await.stage, Stage::Admitted);
    let again: protocol::wire::Standing = phone.asks(&house).await.decode();
    assert_eq!(again.stage, Stage::Admitted);
    assert_eq!(house.post("/v1/withdrawals", phone.withdrawal().bytes()).await.code(), "request-closed");
}
