//! One-time codes: what is shown, what is admitted, and what counts as a failed guess.

use protocol::policy::{How, Role, TotpMode};
use protocol::roster::Refusal;
use protocol::totp::TotpSecret;

use super::super::view::Event;
use super::super::{Allowed, PolicyWish};
use super::*;
use crate::limits;

/// A code of the secret that a person was shown, and the secret.
fn code_of(secret: &str) -> String {
    let bytes = data_encoding::HEXLOWER.decode(secret.as_bytes()).unwrap();
    let secret = TotpSecret::from_bytes(bytes.try_into().unwrap());
    let now = clock::now() / 1000;
    (0..1_000_000)
        .map(|number| format!("{number:06}"))
        .find(|code| secret.step_of(code, now) == Some(now / 30))
        .unwrap()
}

/// A laptop whose chain has a secret, with a code of it.
fn with_codes(mode: TotpMode) -> (Laptop, String) {
    let mut laptop = Laptop::founds();
    let secret = laptop.core.draw_secret(mode).unwrap();
    assert!(secret.line.starts_with("otpauth://totp/Countersign:"), "{}", *secret.line);
    let code = code_of(&secret.secret);
    let wrong = laptop.core.policy_with_secret(&secret.secret, &another(&code), mode);
    assert!(matches!(wrong, Err(AgentError::WrongOneTimeCode)), "not in force without a code of it");
    let policy = laptop.core.policy_with_secret(&secret.secret, &code, mode).unwrap();
    let entries = laptop.core.change_policy(&policy, 0).unwrap();
    laptop.takes(&entries[0]);
    (laptop, code)
}

/// A phone that sends a one-time code.
fn sends(laptop: &Laptop, name: &str, totp: Option<&str>) -> Asks {
    let keys = DeviceKeys::draw(&mut rng());
    let commitments = Commitments::draw(&mut rng());
    let described = Description { totp: totp.map(str::to_owned), ..named(name) };
    let sealed = described.seal(&laptop.code, &keys.id(), &mut rng()).unwrap();
    let request = JoinRequest::sign(&laptop.code, &keys, &sealed, commitments.public(), clock::now()).unwrap();
    let rounds = JoinerRounds::new(request.clone(), commitments);
    Asks { keys, request, sealed, rounds }
}

fn told(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(match event {
            Event::Requested { request } => format!("requested {}", request.name),
            Event::CodeFailed { why, .. } => format!("failed {why}"),
            Event::Alarm { .. } => "alarm".to_owned(),
            _ => continue,
        });
    }
    told
}

#[test]
fn before_a_prompt_a_request_without_a_right_code_is_shown_to_nobody() {
    let (mut laptop, code) = with_codes(TotpMode::BeforePrompt);
    let mut events = laptop.core.events().subscribe();
    let missing = sends(&laptop, "missing", None);
    let wrong = sends(&laptop, "wrong", Some(&another(&code)));
    let right = sends(&laptop, "right", Some(&code));
    for phone in [&missing, &wrong, &wrong, &right] {
        laptop.hears(phone, Vec::new()).unwrap();
    }
    assert_eq!(told(&mut events), ["requested right"]);
    let requests = laptop.core.requests().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].one_time_code.as_deref(), Some("right"));
    for hidden in [&missing, &wrong] {
        assert!(matches!(laptop.core.open_prompt(&hidden.id()), Err(AgentError::NotFound { .. })));
        assert!(matches!(laptop.core.find(&hidden.id().to_string()), Err(AgentError::NotFound { .. })));
    }
    assert_eq!(laptop.core.totp_view().unwrap().unwrap().failed, 1, "once, however often the relay shows it");
    let mut laptop = laptop.restarts();
    laptop.hears(&wrong, Vec::new()).unwrap();
    laptop.hears(&right, Vec::new()).unwrap();
    assert_eq!(laptop.core.requests().unwrap().len(), 1, "after a restart too");
    assert_eq!(laptop.core.totp_view().unwrap().unwrap().failed, 1);
}

#[test]
fn a_code_that_is_too_old_by_the_relays_count_is_not_compared_and_counts_nothing() {
    let (mut laptop, code) = with_codes(TotpMode::BeforePrompt);
    for code in [&code, &another(&code)] {
        let phone = sends(&laptop, "late", Some(code));
        laptop.hears_of(&phone, 900_000 - limits::CODE_AGE - 1, Vec::new()).unwrap();
    }
    assert!(laptop.core.requests().unwrap().is_empty());
    assert_eq!(laptop.core.totp_view().unwrap().unwrap().failed, 0);
}

#[test]
fn after_thirty_failed_codes_none_is_compared_until_the_owner_unlocks() {
    let (mut laptop, code) = with_codes(TotpMode::BeforePrompt);
    let mut events = laptop.core.events().subscribe();
    for _ in 0..limits::FAILED_CODES_MAX {
        let phone = sends(&laptop, "guess", Some(&another(&code)));
        laptop.hears(&phone, Vec::new()).unwrap();
    }
    assert_eq!(told(&mut events), ["alarm"]);
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.totp_view().unwrap().unwrap().state, "locked");
    let honest = sends(&laptop, "honest", Some(&code));
    laptop.hears(&honest, Vec::new()).unwrap();
    assert!(laptop.core.requests().unwrap().is_empty(), "not even a right one");
    laptop.core.store().unlock_codes().unwrap();
    laptop.hears(&honest, Vec::new()).unwrap();
    assert_eq!(laptop.core.requests().unwrap().len(), 1);
}

#[test]
fn a_right_code_lets_in_without_a_person_once_and_only_where_the_owner_wants_it() {
    let (mut laptop, code) = with_codes(TotpMode::Way);
    let phone = sends(&laptop, "phone", Some(&code));
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(laptop.core.take_code_right().is_none(), "the owner did not say so");
    assert_eq!(laptop.core.requests().unwrap()[0].one_time_code, None, "and nothing was compared");
    laptop.core.admit_by_code(Role::Writer);
    let (first, second) = (sends(&laptop, "first", Some(&code)), sends(&laptop, "second", Some(&code)));
    for phone in [&first, &second] {
        laptop.hears(phone, Vec::new()).unwrap();
    }
    let sent_in_vain = laptop.core.take_code_right().unwrap();
    laptop.core.put_back(sent_in_vain);
    let right: Vec<_> = std::iter::from_fn(|| laptop.core.take_code_right()).collect();
    assert_eq!(right.iter().map(super::super::CodeRight::id).collect::<Vec<_>>(), [first.id(), second.id()]);
    let entries = laptop.core.admit_by_right_code(&right[0]).unwrap();
    laptop.takes(&entries[0]);
    let member = laptop.core.roster().member(&first.keys.id()).unwrap();
    assert_eq!((member.role, member.admission.how), (Role::Writer, Some(How::Totp)));
    let again = laptop.core.admit_by_right_code(&right[1]);
    assert!(matches!(again, Err(AgentError::OwnRefused(Refusal::TotpStepUsed))), "a code lets one device in");
    assert!(matches!(laptop.core.admit_by_right_code(&right[0]), Err(AgentError::Decided { .. })));
    let mut events = laptop.core.events().subscribe();
    let third = sends(&laptop, "third", Some(&code));
    laptop.hears(&third, Vec::new()).unwrap();
    assert_eq!(told(&mut events), ["failed used", "requested third"], "people may still approve it");
    assert!(matches!(laptop.core.verify_code(&code), Ok(code) if code.verdict == "used"));
}

/// Every device knows the secret: a code would be a second voice of whichever was stolen.
#[test]
fn where_two_must_agree_a_code_is_no_voice_and_none_is_compared() {
    let (mut laptop, code) = with_codes(TotpMode::Way);
    laptop.admits("tablet");
    assert_eq!(laptop.core.admit_by_code(Role::Writer), Allowed::ByPolicy);
    let wish = PolicyWish { quorum_admit: Some(2), ..PolicyWish::default() };
    let plan = laptop.core.policy_plan(&wish).unwrap();
    let caution = plan.cautions.iter().find(|caution| caution.code == "totp-alone").unwrap();
    assert!(caution.text.contains("the way totp lets nobody in: 2 approvers must agree"), "{}", caution.text);
    assert!(plan.refused.is_none(), "people still let in by the way typed");
    let policy = laptop.core.wished(&wish).unwrap();
    let entries = laptop.core.change_policy(&policy, laptop.core.roster().policy_seq()).unwrap();
    laptop.takes(&entries[0]);
    assert_eq!(laptop.core.admit_by_code(Role::Writer), Allowed::NotAlone { quorum: 2 });
    assert_eq!(laptop.core.totp_view().unwrap().unwrap().admits_as, None);
    let mut events = laptop.core.events().subscribe();
    for code in [&code, &another(&code)] {
        let phone = sends(&laptop, "phone", Some(code));
        laptop.hears(&phone, Vec::new()).unwrap();
    }
    assert_eq!(told(&mut events), ["requested phone", "requested phone"]);
    assert!(laptop.core.take_code_right().is_none());
    assert_eq!(laptop.core.totp_view().unwrap().unwrap().failed, 0);
    let refused = laptop.core.draw_secret(TotpMode::Way);
    assert!(matches!(refused, Err(AgentError::CodeIsNoVoice { quorum: 2 })));
    assert!(laptop.core.draw_secret(TotpMode::BeforePrompt).is_ok());
}

#[test]
fn nothing_follows_from_a_right_code_before_it_is_on_the_disk() {
    let (mut laptop, code) = with_codes(TotpMode::Way);
    laptop.core.admit_by_code(Role::Writer);
    let phone = sends(&laptop, "phone", Some(&code));
    let disk = rusqlite::Connection::open(laptop.home.store_file()).unwrap();
    disk.execute_batch("CREATE TRIGGER fails BEFORE INSERT ON totp_checks BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    assert!(laptop.hears(&phone, Vec::new()).is_err());
    assert!(laptop.core.take_code_right().is_none());
    disk.execute_batch("DROP TRIGGER fails").unwrap();
    laptop.hears(&phone, Vec::new()).unwrap();
    assert_eq!(laptop.core.take_code_right().unwrap().id(), phone.id());
    assert!(laptop.core.take_code_right().is_none(), "once");
}

/// What one approver had sealed there ended the session of every other device, at each request.
#[test]
fn a_secret_that_does_not_open_makes_no_code_right_and_breaks_nothing_else() {
    for mode in [TotpMode::BeforePrompt, TotpMode::Way] {
        let (mut laptop, code) = with_codes(mode);
        laptop.core.admit_by_code(Role::Writer);
        let signer = laptop.core.keys().clone();
        let mut policy = laptop.core.roster().policy().clone();
        policy.totp.as_mut().unwrap().secret.0[30] ^= 1;
        let entry = protocol::change::change_policy(laptop.acting(&signer), policy, Vec::new(), 0).unwrap();
        laptop.takes(&entry);
        let mut events = laptop.core.events().subscribe();
        let phone = sends(&laptop, "phone", Some(&code));
        laptop.hears(&phone, Vec::new()).unwrap();
        let shown: &[&str] = if mode == TotpMode::Way { &["requested phone"] } else { &[] };
        assert_eq!(told(&mut events), shown);
        assert!(laptop.core.take_code_right().is_none());
        let view = laptop.core.totp_view().unwrap().unwrap();
        assert_eq!((view.state.as_str(), view.failed), ("unopened", 0), "and nobody is held to have guessed");
        let cautions = laptop.core.policy_view().cautions;
        assert!(cautions.iter().any(|caution| caution.code == "totp-unopened"), "{cautions:?}");
        assert!(matches!(laptop.core.verify_code(&code), Err(AgentError::SecretUnopened)));
        let policy = laptop.core.policy_without_secret().unwrap();
        let entries = laptop.core.change_policy(&policy, laptop.core.roster().policy_seq()).unwrap();
        laptop.takes(&entries[0]);
        assert!(laptop.core.totp_view().unwrap().is_none());
    }
}

#[test]
fn a_secret_outlives_a_new_epoch_and_another_policy_and_ends_when_it_is_switched_off() {
    let (mut laptop, code) = with_codes(TotpMode::BeforePrompt);
    let keys = laptop.core.keys().clone();
    let acting = laptop.acting(&keys);
    let rotate = protocol::change::rotate(
        acting,
        protocol::change::CodeChange::Keep,
        protocol::change::RecoveryChange::Keep,
        0,
        &mut rng(),
    );
    laptop.takes(&rotate.unwrap());
    assert_eq!(laptop.core.verify_code(&code).unwrap().verdict, "right");
    let wish = PolicyWish { members_max: Some(5), ..PolicyWish::default() };
    let policy = laptop.core.wished(&wish).unwrap();
    let entries = laptop.core.change_policy(&policy, 1).unwrap();
    laptop.takes(&entries[0]);
    assert_eq!(laptop.core.verify_code(&code).unwrap().verdict, "right", "sealed anew in the new epoch");
    let policy = laptop.core.policy_without_secret().unwrap();
    let entries = laptop.core.change_policy(&policy, 3).unwrap();
    laptop.takes(&entries[0]);
    assert!(matches!(laptop.core.verify_code(&code), Err(AgentError::NoOneTimeCodes)));
    assert!(laptop.core.totp_view().unwrap().is_none());
}
