//! Who may settle a fork at the relay, and what its members hear of it.

use protocol::Verified;
use protocol::approval::{RoleSubject, SettleSubject, Subject};
use protocol::change::{self, CodeChange};
use protocol::cut::CutAt;
use protocol::entry::Entry;
use protocol::policy::{Policy, Quorums, Role};
use protocol::wire::{Purpose, ToDevice, close};

use crate::harness::{House, Joiner, Member, rng};
use crate::members::{cut, phone_of, put};

impl Member {
    fn settles(&self, abandoned: &Verified<Entry>) -> Verified<Entry> {
        change::settle(self.acting(), abandoned.hash(), Vec::new(), 4, &mut rng()).unwrap()
    }
}

#[tokio::test]
async fn a_device_that_was_removed_here_settles_nothing_and_an_approver_of_both_branches_does() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let (roster, keyring) = (laptop.roster.clone(), laptop.keyring.clone());
    let removal = laptop.removes(&[(&phone, CutAt::Last)]);
    assert_eq!(house.append(&removal).await.status, 200);
    let revenge = phone.removes(&[(&laptop, CutAt::Last)]);
    phone.opens(&revenge);
    let settle = phone.settles(&removal);
    for purpose in [Purpose::New, Purpose::Heal] {
        let refused = house.append_as(&[&revenge, &settle], purpose).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "not-a-member"));
    }
    let mut screen = {
        laptop.opens(&removal);
        laptop.connects(&house, None).await
    };
    (laptop.roster, laptop.keyring) = (roster, keyring);
    let rotate = laptop.rotates(CodeChange::Keep);
    laptop.opens(&rotate);
    let settle = laptop.settles(&removal);
    assert_eq!(house.append_as(&[&rotate, &settle], Purpose::New).await.status, 200);
    laptop.opens(&settle);
    assert_eq!(screen.closed().await, (close::RESTART, "0".into()), "what it was told of stands no more");
    let mut again = laptop.connects(&house, None).await;
    assert_eq!(laptop.puts(&house, "a").await.status, 200);
    assert!(matches!(again.next().await, ToDevice::Records(_)));
    assert_eq!(laptop.log(&house).await.len(), 4);
    assert_eq!(phone.log(&house).await.len(), 4, "on this branch it was never removed");
}

/// One approver of two: what two agreed to is not undone by one, neither where the branch has the quorum nor where it is of before that.
#[tokio::test]
async fn where_a_quorum_is_two_one_alone_settles_nothing() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let (roster, keyring) = (laptop.roster.clone(), laptop.keyring.clone());
    let quorums = Quorums { admit: 1, remove: 2, policy: 1, closing: 1 };
    let policy = Policy { quorums, ..Policy::default() };
    let policy = change::change_policy(laptop.acting(), policy, Vec::new(), 3).unwrap();
    assert_eq!(house.append(&policy).await.status, 200);
    laptop.follows(&policy);
    phone.follows(&policy);
    let deny = phone.denies(&Joiner::new(laptop.keyring.code()), 0);
    assert_eq!(house.append(&deny).await.status, 200);
    let settle = laptop.settles(&deny);
    assert_eq!(house.append(&settle).await.code(), "quorum");
    let subject = Subject::Settle(SettleSubject { abandoned: deny.hash() });
    let agreed = change::approve(phone.acting(), subject.clone()).unwrap();
    assert_eq!(house.post("/v1/approvals", agreed.bytes()).await.status, 200);
    let both = vec![agreed.bytes().to_vec().into()];
    let both = change::settle(laptop.acting(), deny.hash(), both, 4, &mut rng()).unwrap();
    // Of before the quorum, and with a head that the relay has not: that the phone agrees is for its branch to say.
    (laptop.roster, laptop.keyring) = (roster, keyring);
    let alone = laptop.settles(&policy);
    assert_eq!(house.append(&alone).await.code(), "quorum");
    let rotate = laptop.rotates(CodeChange::Keep);
    laptop.opens(&rotate);
    let subject = Subject::Settle(SettleSubject { abandoned: policy.hash() });
    let agreed = change::approve(laptop.acting(), subject).unwrap();
    assert_eq!(house.post("/v1/approvals", agreed.bytes()).await.status, 200);
    let elsewhere = change::approve(laptop.acting(), Subject::Closing).unwrap();
    assert_eq!(house.post("/v1/approvals", elsewhere.bytes()).await.code(), "unknown-head");
    assert_eq!(house.append(&both).await.status, 200);
}

/// The phone's records cite a head that both branches have. What it put over a version that is gone goes all the same, and what it wrote
/// after that: a reader could follow neither.
#[tokio::test]
async fn what_stands_on_a_record_that_is_gone_goes_with_it() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    assert_eq!(phone.puts(&house, "first").await.status, 200);
    let (roster, keyring) = (laptop.roster.clone(), laptop.keyring.clone());
    let deny = laptop.denies(&Joiner::new(laptop.keyring.code()), 0);
    assert_eq!(house.append(&deny).await.status, 200);
    laptop.follows(&deny);
    assert_eq!(laptop.puts(&house, "a").await.status, 200);
    let over = phone.writes("a", Some(b"2"), laptop.line.last);
    assert_eq!(house.post("/v1/records", &put(over)).await.status, 200);
    assert_eq!(phone.puts(&house, "z").await.status, 200);
    (laptop.roster, laptop.keyring) = (roster, keyring);
    let settle = laptop.settles(&deny);
    assert_eq!(house.append(&settle).await.status, 200);
    laptop.opens(&settle);
    let numbers: Vec<u64> = laptop.feed(&house).await.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1]);
}

#[tokio::test]
async fn a_member_that_is_no_approver_here_settles_nothing() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let phone = phone_of(&house, &mut laptop).await;
    let subject = RoleSubject { device: phone.keys.id(), role: Role::Reader, cut: Some(cut(phone.line, CutAt::Last)) };
    let demotes = change::change_role(laptop.acting(), subject, Vec::new(), 3).unwrap();
    assert_eq!(house.append(&demotes).await.status, 200);
    let refused = house.append(&phone.settles(&demotes)).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not-an-approver"));
    assert_eq!(laptop.log(&house).await.len(), 3);
}
