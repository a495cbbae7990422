//! One-time codes: sealed in the policy, compared by members, used once.

use std::sync::Arc;

use protocol::change::CodeChange;
use protocol::policy::{How, Policy, Role, Totp, TotpMode};
use protocol::totp::{TotpAttempt, TotpSecret};
use protocol::{decision, roster::Refusal};

use crate::support::SeededRng;
use crate::world::{AT, Chain};

const SECRET: [u8; 20] = *b"12345678901234567890";
/// A time of RFC 6238, appendix B, and its code.
const NOW: u64 = 1_111_111_109;
const CODE: &str = "081 804";

/// A chain that admits by one-time codes.
fn chain() -> Chain {
    let mut chain = Chain::founded();
    let secret = TotpSecret::from_bytes(SECRET).wrap(chain.acting(&chain.laptop), &mut chain.randomness()).unwrap();
    let totp = Some(Totp { mode: TotpMode::Way, secret });
    let policy = Policy { ways: vec![How::Typed, How::Totp], totp, ..Policy::default() };
    chain.append(&chain.rules(&chain.laptop, policy, Vec::new()));
    chain
}

#[test]
fn the_secret_opens_for_every_member_also_epochs_later() {
    let mut chain = chain();
    for _ in 0..2 {
        let open = TotpSecret::open(&chain.roster, &chain.keyring).unwrap().unwrap();
        assert_eq!(open.expose(), &SECRET);
        chain.append(&chain.rotates(&chain.laptop, CodeChange::Draw));
    }
    assert_eq!(TotpSecret::open(&Chain::founded().roster, &Chain::founded().keyring).unwrap(), None);
}

#[test]
fn a_proposed_secret_opens_only_if_it_was_sealed_for_the_next_entry() {
    let mut chain = chain();
    let proposed = |policy: &Policy, chain: &Chain| TotpSecret::open_proposed(policy, &chain.roster, &chain.keyring);
    let before = chain.roster.policy().clone();
    assert_eq!(proposed(&before, &chain).unwrap().unwrap().expose(), &SECRET, "the same epoch");
    assert_eq!(proposed(&Policy::default(), &chain), Ok(None));
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Draw));
    assert!(proposed(&before, &chain).is_err(), "sealed an epoch ago");
    let mut anew = before.clone();
    let totp = anew.totp.as_mut().unwrap();
    totp.secret = TotpSecret::from_bytes(SECRET).wrap(chain.acting(&chain.laptop), &mut chain.randomness()).unwrap();
    assert_eq!(proposed(&anew, &chain).unwrap().unwrap().expose(), &SECRET);
    let mut garbage = anew.clone();
    garbage.totp.as_mut().unwrap().secret.0[40] ^= 1;
    assert!(proposed(&garbage, &chain).is_err());
    chain.append(&chain.rules(&chain.laptop, garbage, Vec::new()));
    assert!(TotpSecret::open(&chain.roster, &chain.keyring).is_err(), "the log looks into no sealed value");
}

#[test]
fn a_right_code_admits_once() {
    let mut chain = chain();
    let secret = TotpSecret::open(&chain.roster, &chain.keyring).unwrap().unwrap();
    let (phone, tablet) = (chain.asks("phone"), chain.asks("tablet"));
    let confirm = |chain: &Chain, joiner: &crate::world::Joiner| {
        secret.confirm(&Arc::new(joiner.request.clone()), CODE, NOW, chain.roster.totp_step())
    };
    let TotpAttempt::Right(confirmed) = confirm(&chain, &phone) else { panic!("the code is right") };
    let admits = |chain: &Chain, confirmed, joiner: &crate::world::Joiner| {
        let rng = &mut SeededRng::new("totp");
        decision::admit_totp(chain.acting(&chain.laptop), confirmed, &joiner.description, Role::Writer, AT, rng)
            .unwrap()
    };
    // Both approvers compared the same code before either entry landed: the log takes one.
    let TotpAttempt::Right(raced) = confirm(&chain, &tablet) else { panic!("the code is right") };
    let admit = admits(&chain, &confirmed, &phone);
    chain.append(&admit);
    let late = admits(&chain, &raced, &tablet);
    assert_eq!(chain.try_append(&late), Err(Refusal::TotpStepUsed));
    assert!(matches!(confirm(&chain, &tablet), TotpAttempt::Used));
}

#[test]
fn what_is_no_code_of_this_time_is_wrong() {
    let secret = TotpSecret::from_bytes(SECRET);
    for typed in ["081805", "81804", "0818040", "08180a", "", "081 804 1"] {
        assert_eq!(secret.step_of(typed, NOW), None, "{typed}");
    }
    assert_eq!(secret.step_of(CODE, NOW), secret.step_of("081-804", NOW + 29));
    assert_eq!(secret.step_of(CODE, NOW + 90), None);
}

#[test]
fn an_admit_does_not_keep_the_code() {
    let chain = chain();
    let mut phone = chain.asks("phone");
    phone.description.totp = Some("081804".to_owned());
    let admit = chain.admits(&chain.laptop, &phone, Role::Reader);
    let roster = chain.roster.clone().apply(&admit).unwrap();
    let described = chain.keyring.describe(&roster, roster.member(&phone.keys.id()).unwrap()).unwrap();
    assert_eq!(described, phone.description.without_totp());
}

#[test]
fn an_authenticator_reads_the_line() {
    let line = TotpSecret::from_bytes(SECRET).otpauth("my chain: home");
    let expected = "otpauth://totp/Countersign:my-chain--home?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Countersign&algorithm=SHA1&digits=6&period=30";
    assert_eq!(*line, expected);
    assert_eq!(format!("{:?}", TotpSecret::from_bytes(SECRET)), "TotpSecret(secret)");
}
