//! A change of role: who may sign it, and whose word counts.

use protocol::approval::{RoleSubject, Subject};
use protocol::cbor::Blob;
use protocol::change;
use protocol::policy::{Policy, Quorums, Role};
use protocol::roster::Refusal;

use crate::world::{AT, Chain, keys};

/// Its signature gives up what it has, as by leaving; it is one of those that the quorum asks for, and approves nothing besides.
#[test]
fn an_approver_signs_its_own_demotion_and_approves_none() {
    let mut chain = Chain::founded();
    for name in ["phone", "tablet", "watch"] {
        chain.joined(name, Role::Approver);
    }
    let quorums = Quorums { policy: 2, ..Policy::default().quorums };
    chain.append(&chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new()));
    let phone = keys("phone");
    let subject = RoleSubject { device: phone.id(), role: Role::Writer, cut: None };
    let agreed = |by: &str| chain.agrees(&keys(by), Subject::Role(subject));
    let signed =
        |by: &str, approvals: Vec<Blob>| change::change_role(chain.acting(&keys(by)), subject, approvals, AT).unwrap();
    let (alone, own_word) = (signed("phone", Vec::new()), signed("tablet", vec![agreed("phone")]));
    let with_another = signed("phone", vec![agreed("tablet")]);
    assert_eq!(chain.try_append(&alone), Err(Refusal::Quorum { needed: 1, got: 0 }));
    assert_eq!(chain.try_append(&own_word), Err(Refusal::ApprovalVoid { index: 0 }));
    chain.append(&with_another);
    assert_eq!(chain.roster.member(&phone.id()).unwrap().role, Role::Writer);
}
