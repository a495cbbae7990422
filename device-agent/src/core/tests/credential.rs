//! The credential that a device hands out of its pinned log.

use protocol::change::{self, RecoveryChange};
use protocol::credential::{CredentialError, Known, verify};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::RemoveReason;

use super::{Laptop, rng};
use crate::error::AgentError;

#[test]
fn a_device_hands_out_its_own_credential_and_that_of_others_by_name_or_id() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let own = laptop.core.keys().id();
    let (device, credential) = laptop.core.credential(None).unwrap();
    let proven = verify(&credential.to_bytes(), &Known::default()).unwrap();
    assert_eq!((device, proven.device().signing, proven.head()), (own, own, laptop.core.roster().head()));
    let by_name = laptop.core.credential(Some("phone")).unwrap();
    let (device, credential) = laptop.core.credential(Some(&phone.keys.id().to_string()[..16])).unwrap();
    assert_eq!(by_name, (device, credential.clone()));
    let proven = verify(&credential.to_bytes(), &Known::default()).unwrap();
    assert_eq!((device, proven.links()[0].by), (phone.keys.id(), own));
}

#[test]
fn devices_that_are_gone_or_never_were_have_no_credential() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let laptop_keys = laptop.core.keys().clone();
    let removals = vec![Removal { device: phone.keys.id(), cut: Cut { counter: 0, last: None, at: CutAt::Last } }];
    let (reason, keep) = (RemoveReason::Lost, RecoveryChange::Keep);
    let entry = change::remove(laptop.acting(&laptop_keys), removals, reason, keep, Vec::new(), 0, &mut rng()).unwrap();
    laptop.takes(&entry);
    let refused = laptop.core.credential(Some(&phone.keys.id().to_string())).unwrap_err();
    assert!(
        matches!(&refused, AgentError::NotProven { error: CredentialError::NotAMember { former: Some(_), .. }, .. }),
        "{refused}"
    );
    assert!(matches!(laptop.core.credential(Some("zz")), Err(AgentError::NotFound { .. })));
    assert!(matches!(laptop.core.credential(Some("")), Err(AgentError::NotFound { .. })));
}
