//! Code rounds from both ends: one answer per round, ever; and a code that shows on both sides only if both saw the same.

use protocol::id::{Commitment, Random};
use protocol::round::{AnswerError, Attempt, Commitments, JoinerRounds, Nonce, Prompt, RoundError, commit, links};
use protocol::{Hash, VERSION, Verified, limits};

use crate::support::SeededRng;
use crate::world::{Chain, Joiner, asks_with, keys};

fn world() -> (Chain, Joiner) {
    let chain = Chain::founded();
    let phone = chain.asks("phone");
    (chain, phone)
}

fn refusal(rounds: &mut JoinerRounds, phone: &Joiner, nonce: Verified<Nonce>) -> RoundError {
    match rounds.answer(nonce, &phone.keys.signing) {
        Err(AnswerError::Round(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn nonce_with(chain: &Chain, phone: &Joiner, change: impl FnOnce(&mut Nonce)) -> Verified<Nonce> {
    let mut form = (*chain.opens(&chain.laptop, phone, 1)).clone();
    change(&mut form);
    Verified::sign(form, &chain.laptop.signing, &[]).unwrap()
}

#[test]
fn the_same_nonce_gets_the_same_answer() {
    let (chain, phone) = world();
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let mut rounds = phone.rounds();
    let first = rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    let again = rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    assert_eq!(first.reveal.bytes(), again.reveal.bytes());
    assert_eq!(rounds.answered().len(), 1);
    // A restart rebuilds the rounds from the stored nonces and says the same.
    let mut restarted = phone.rounds();
    assert_eq!(restarted.answer(nonce, &phone.keys.signing).unwrap().reveal.bytes(), first.reveal.bytes());
}

#[test]
fn a_second_nonce_in_a_round_is_never_answered() {
    let (chain, phone) = world();
    let mut rounds = phone.rounds();
    rounds.answer(chain.opens(&chain.laptop, &phone, 1), &phone.keys.signing).unwrap();
    let second = nonce_with(&chain, &phone, |nonce| nonce.nonce = Random([9; 32]));
    assert_eq!(refusal(&mut rounds, &phone, second), RoundError::SecondNonce { round: 1 });
    let others = chain.opens(&keys("stranger"), &phone, 1);
    assert_eq!(refusal(&mut rounds, &phone, others), RoundError::SecondNonce { round: 1 });
}

#[test]
fn rounds_come_in_order_and_end_with_the_eighth() {
    let (chain, phone) = world();
    let mut rounds = phone.rounds();
    let third = chain.opens(&chain.laptop, &phone, 3);
    assert_eq!(refusal(&mut rounds, &phone, third), RoundError::NotNext { got: 3, expected: 1 });
    for round in 1..=limits::ROUNDS_MAX {
        let answer = rounds.answer(chain.opens(&chain.laptop, &phone, round), &phone.keys.signing).unwrap();
        assert_eq!(answer.round, round);
        assert!(links(&phone.request.commitment, round, &answer.reveal.value));
    }
    for round in [0, limits::ROUNDS_MAX + 1, 255] {
        let mut form = (*chain.opens(&chain.laptop, &phone, 1)).clone();
        form.round = round;
        assert_eq!(Verified::sign(form, &chain.laptop.signing, &[]).unwrap_err().code(), "bad-field");
    }
}

#[test]
fn a_nonce_of_another_request_or_of_a_second_chain_is_never_answered() {
    let (chain, phone) = world();
    let mut rounds = phone.rounds();
    let others = chain.opens(&chain.laptop, &chain.asks("tablet"), 1);
    assert_eq!(refusal(&mut rounds, &phone, others), RoundError::OtherRequest);
    rounds.answer(chain.opens(&chain.laptop, &phone, 1), &phone.keys.signing).unwrap();
    let elsewhere = nonce_with(&chain, &phone, |nonce| {
        nonce.round = 2;
        nonce.chain = protocol::ChainId([9; 32]);
    });
    assert_eq!(refusal(&mut rounds, &phone, elsewhere), RoundError::SecondChain);
}

#[test]
fn only_a_signer_of_an_answered_nonce_was_shown_a_code() {
    let (chain, phone) = world();
    let mut rounds = phone.rounds();
    assert!(!rounds.showed_code_for(&chain.laptop.id()));
    rounds.answer(chain.opens(&chain.laptop, &phone, 1), &phone.keys.signing).unwrap();
    assert!(rounds.showed_code_for(&chain.laptop.id()));
    assert!(!rounds.showed_code_for(&keys("tablet").id()));
}

#[test]
fn an_approver_takes_only_the_answer_to_its_own_nonce() {
    let (chain, phone) = world();
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let answer = phone.answers(&nonce);
    let refused = |request: &Joiner, nonce: &Verified<Nonce>, reveal: &protocol::round::Reveal, key: &Joiner| {
        let reveal = Verified::sign(reveal.clone(), &key.keys.signing, &[]).unwrap();
        Prompt::new(request.request.clone(), nonce.clone(), &reveal).unwrap_err()
    };
    let tablet = chain.asks("tablet");
    let good = (*answer.reveal).clone();
    assert!(Prompt::new(phone.request.clone(), nonce.clone(), &answer.reveal).is_ok());
    assert_eq!(refused(&tablet, &nonce, &good, &phone), RoundError::OtherRequest);
    assert_eq!(refused(&phone, &nonce, &good, &tablet), RoundError::NotTheJoiner);
    let mut other = good.clone();
    other.nonce = Hash([9; 32]);
    assert_eq!(refused(&phone, &nonce, &other, &phone), RoundError::OtherNonce);
    for value in [phone.commitments.value(2), phone.commitments.public(), Commitment([0; 32])] {
        let mut other = good.clone();
        other.value = value;
        assert_eq!(refused(&phone, &nonce, &other, &phone), RoundError::BrokenCommitment);
    }
    let for_tablet = chain.opens(&chain.laptop, &tablet, 1);
    assert_eq!(refused(&phone, &for_tablet, &good, &phone), RoundError::OtherRequest);
}

#[test]
fn six_digits_are_a_guess_and_anything_else_is_none() {
    let (chain, phone) = world();
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let answer = phone.answers(&nonce);
    let prompt = Prompt::new(phone.request.clone(), nonce, &answer.reveal).unwrap();
    let shown = answer.code.digits();
    let (left, right) = shown.split_once(' ').unwrap();
    for typed in
        [shown.to_string(), format!("{left}{right}"), format!("{left}-{right}"), format!(" {left}\u{a0}{right} ")]
    {
        match prompt.type_code(&typed) {
            Attempt::Right(confirmed) => assert_eq!(confirmed.request().id(), phone.request.id()),
            other => panic!("{typed:?}: {other:?}"),
        }
    }
    let number: u32 = format!("{left}{right}").parse().unwrap();
    for off in [1, 10, 500_000] {
        assert!(matches!(prompt.type_code(&format!("{:06}", (number + off) % 1_000_000)), Attempt::Wrong));
    }
    for typed in ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\n6", "+12345", "\u{661}23456"] {
        assert!(matches!(prompt.type_code(typed), Attempt::NotACode), "{typed:?}");
    }
}

/// What the joiner shows, against what the approver asks for, in worlds that differ in one thing.
#[test]
fn the_codes_of_both_ends_differ_when_anything_differs() {
    let (chain, phone) = world();
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let shown = phone.answers(&nonce).code.digits().to_string();
    let mut changed: Vec<(&str, String)> = Vec::new();
    // Each is a whole honest run of its own, so each code is one that a lying relay could make somebody show.
    let mut shows = |what, joiner: &Joiner, nonce: &Verified<Nonce>| {
        changed.push((what, joiner.answers(nonce).code.digits().to_string()));
    };
    shows("nonce", &phone, &nonce_with(&chain, &phone, |nonce| nonce.nonce = Random([9; 32])));
    shows("head", &phone, &nonce_with(&chain, &phone, |nonce| nonce.head = Hash([9; 32])));
    shows("epoch", &phone, &nonce_with(&chain, &phone, |nonce| nonce.epoch = 2));
    shows("chain", &phone, &nonce_with(&chain, &phone, |nonce| nonce.chain = protocol::ChainId([9; 32])));
    let same_nonce = |joiner: &Joiner| {
        Verified::sign(Nonce { request: joiner.request.id(), ..(*nonce).clone() }, &chain.laptop.signing, &[]).unwrap()
    };
    let approver = Verified::sign((*nonce).clone(), &keys("stranger").signing, &[]).unwrap();
    shows("approver", &phone, &approver);
    let code = &chain.founding.code;
    let mut swapped = keys("phone");
    swapped.sealing = keys("stranger").sealing;
    let swapped = asks_with("phone", &swapped, code);
    shows("sealing key", &swapped, &same_nonce(&swapped));
    let mut swapped = keys("phone");
    swapped.signing = keys("stranger").signing;
    let swapped = asks_with("phone", &swapped, code);
    shows("signing key", &swapped, &same_nonce(&swapped));
    let other = asks_with("phone", &keys("phone"), &protocol::code::SyncCode::from_bytes([9; 32]));
    shows("join key", &other, &same_nonce(&other));
    let other = asks_with("phone again", &keys("phone"), code);
    shows("commitment", &other, &same_nonce(&other));
    let second = chain.opens(&chain.laptop, &phone, 2);
    let mut rounds = phone.rounds();
    rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    changed.push(("round", rounds.answer(second, &phone.keys.signing).unwrap().code.digits().to_string()));
    for (what, code) in &changed {
        assert_ne!(*code, shown, "another {what} and yet the same code");
    }
    let mut all: Vec<&String> = changed.iter().map(|(_, code)| code).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), changed.len());
}

#[test]
fn the_commitments_are_a_chain_of_eight() {
    let commitments = Commitments::draw(&mut SeededRng::new("commitments"));
    let public = commitments.public();
    for round in 1..=limits::ROUNDS_MAX {
        let value = commitments.value(round);
        assert_eq!(commit(&value), commitments.value(round - 1));
        for other in 0..=limits::ROUNDS_MAX + 1 {
            assert_eq!(links(&public, other, &value), other == round, "c{round} as round {other}");
        }
    }
    assert_eq!(commitments.value(limits::ROUNDS_MAX).as_bytes(), commitments.expose());
    assert!(!links(&public, 0, &public), "c0 itself is no answer");
}

#[test]
fn all_codes_have_six_digits() {
    let (chain, phone) = world();
    for seed in 0..200_u8 {
        let nonce = nonce_with(&chain, &phone, |nonce| nonce.nonce = Random([seed; 32]));
        let digits = phone.answers(&nonce).code.digits().to_string();
        assert_eq!((digits.len(), digits.as_bytes()[3]), (7, b' '), "{digits}");
        assert!(digits.replace(' ', "").bytes().all(|byte| byte.is_ascii_digit()));
    }
    assert_eq!(VERSION, 1);
}
