//! Credentials out of real devices: checked by somebody who has no home, no relay and nothing but the file.

use countersign_tests::actor::{Member, Reach, now, rng};
use countersign_tests::home::Home;
use countersign_tests::relay::Relay;
use protocol::change::{self, RecoveryChange};
use protocol::credential::Credential;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::RemoveReason;
use protocol::policy::Role;
use protocol::request::JoinRequest;
use protocol::round::{Attempt, Prompt};
use protocol::{DeviceId, Verified};
use serde_json::Value;

/// Exports into a file of its own; where it is, and what was said of it.
fn exports(home: &Home, name: &str, device: &str) -> (String, Value) {
    let file = home.state().with_file_name(name).to_str().unwrap().to_owned();
    let said = home.reads(&["credential", "export", device, &file]);
    assert_eq!((&said["schema"], &said["file"]), (&"countersign.credential-export/1".into(), &file.as_str().into()));
    (file, said)
}

fn id_of(home: &Home) -> String {
    home.reads(&["status"])["device"].as_str().unwrap().to_owned()
}

#[test]
fn a_device_shows_its_membership_to_somebody_who_has_nothing_but_the_file() {
    let mut relay = Relay::start();
    let (laptop, phone, stranger) = (Home::new("laptop"), Home::new("phone"), Home::new("stranger"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    let (on_phone, on_laptop) = (id_of(&phone), id_of(&laptop));
    let (by_phone, said) = exports(&phone, "phone.credential", &on_phone[..12]);
    assert_eq!(said["device"], on_phone.as_str());
    let (by_laptop, _) = exports(&laptop, "of-the-phone.credential", &on_phone);
    assert_eq!(std::fs::read(&by_phone).unwrap(), std::fs::read(&by_laptop).unwrap(), "whoever makes it");
    let again = phone.fails(&["credential", "export", &on_phone, &by_phone]);
    assert_eq!(again, (2, "usage".to_owned()), "nothing is written over");
    relay.kill();
    let alone = phone.types(&["credential", "export", "--json"]);
    assert_eq!(alone.code(), 0, "{}", alone.stderr);
    assert!(alone.stderr.contains("made of the log that this device has, up to entry 1"), "{}", alone.stderr);
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    assert!(alone["credential"].as_str().unwrap().len() > 1000 && alone["file"].is_null());
    let proven = stranger.reads(&["credential", "verify", &by_phone]);
    assert!(!stranger.state().exists(), "to check needs no home");
    assert_eq!(proven["schema"], "countersign.credential/1");
    let expected = [("device", &on_phone), ("founder", &on_laptop)];
    assert!(expected.iter().all(|(member, id)| proven[*member] == id.as_str()), "{proven}");
    assert_eq!((&proven["role"], &proven["links"][0]["how"]), (&"approver".into(), &"typed".into()));
    assert_eq!(proven["links"][0]["by"], on_laptop.as_str());
    let known = format!("{}@{}", proven["head"].as_str().unwrap(), proven["seq"]);
    let chain = proven["chain"].as_str().unwrap();
    let known = ["credential", "verify", &by_laptop, "--chain", chain, "--head", &known];
    assert_eq!(stranger.reads(&known)["head"], proven["head"]);
    let swapped = phone.types(&["credential", "export", "file.credential"]);
    assert!(swapped.code() == 5 && swapped.stderr.contains("export - file.credential"), "{}", swapped.stderr);
    assert_eq!(phone.fails(&["credential", "export", &"0".repeat(64)]), (5, "not-found".to_owned()));
    assert_eq!(phone.reads(&["credential", "export", "-"])["device"], on_phone.as_str());
}

/// The founder is a device from outside: it lets a home of ours in, and puts it out again.
#[test]
fn a_removed_device_is_refused_by_whoever_was_shown_a_newer_head() {
    let relay = Relay::start();
    let mut founder = Member::found(Reach::to(&relay), "founder");
    let (phone, stranger) = (Home::new("phone"), Home::new("stranger"));
    let joining = phone.asks(&relay.origin(), &founder.code().words());
    let _ = joining.waits();
    let request: Verified<JoinRequest> = Verified::from_bytes(&founder.requests().remove(0).request).unwrap();
    let nonce = founder.nonce(request.id(), 1);
    assert_eq!(relay.post("/v1/nonces", nonce.bytes()).told(), "200");
    let code = joining.code(1);
    let reveal = founder.requests().remove(0).rounds.remove(0).reveal.unwrap();
    let prompt = Prompt::new(request, nonce, &Verified::from_bytes(&reveal).unwrap()).unwrap();
    let Attempt::Right(confirmed) = prompt.type_code(&code) else { panic!("the code that was shown") };
    founder.appends(&founder.admission(&confirmed, Role::Writer));
    assert_eq!(joining.end().code(), 0);

    let device = id_of(&phone);
    let (old, _) = exports(&phone, "phone.credential", &device);
    assert_eq!(stranger.reads(&["credential", "verify", &old])["role"], "writer");
    let cut = Cut { counter: 0, last: None, at: CutAt::Last };
    let removals = vec![Removal { device: device.parse::<DeviceId>().unwrap(), cut }];
    let (reason, keep) = (RemoveReason::Distrusted, RecoveryChange::Keep);
    let entry = change::remove(founder.acting(), removals, reason, keep, Vec::new(), now(), &mut rng()).unwrap();
    founder.appends(&entry);
    let newer = Credential::of(founder.keys.id(), &founder.log).unwrap().to_bytes();
    let file = stranger.state().with_file_name("founder.credential");
    std::fs::write(&file, &newer).unwrap();
    // The same log, naming the phone: it bears the phone out no more, and its head is told with the refusal.
    let named = [&newer[..6], &device.parse::<DeviceId>().unwrap().0, &newer[38..]].concat();
    let honest = file.with_file_name("honest.credential");
    std::fs::write(&honest, named).unwrap();
    let honest = honest.to_str().unwrap();
    let refused = stranger.types(&["credential", "verify", honest, "--json"]);
    let said: Value = serde_json::from_str(&refused.stdout).unwrap();
    let head = founder.log.last().unwrap().hash().to_string();
    assert_eq!((refused.code(), &said["code"]), (3, &"not-a-member".into()));
    assert_eq!((&said["proven"]["head"], &said["proven"]["seq"]), (&head.as_str().into(), &2.into()));
    assert!(refused.stderr.contains(&format!("--head {head}@2")), "{}", refused.stderr);
    assert_eq!(stranger.fails(&["credential", "verify", &old, "--newer", honest]), (3, "behind".to_owned()));
    let newer = file.to_str().unwrap();
    assert_eq!(stranger.fails(&["credential", "verify", &old, "--newer", newer]), (3, "behind".to_owned()));
    assert_eq!(stranger.reads(&["credential", "verify", newer, "--newer", &old])["seq"], 2);
    let after = phone.types(&["credential", "export", "--json"]);
    // It is not told who put it out, and what it makes is as old as the log that it has.
    let said: Value = serde_json::from_str(&after.stdout).unwrap();
    assert_eq!((after.code(), said["seq"].as_u64()), (0, Some(1)));
    assert!(after.stderr.contains("this device is not a member of the chain (any more)"), "{}", after.stderr);
}
