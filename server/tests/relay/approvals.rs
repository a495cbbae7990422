//! Approvals: given by one approver, handed on to the others, put into an entry, void by the next.

use protocol::approval::{AdmitSubject, Approval, RoleSubject, Subject};
use protocol::change;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::{Entry, RemoveReason};
use protocol::policy::{Policy, Quorums, Role};
use protocol::wire::{Approvals, Approved, ToDevice};
use protocol::{DeviceId, Hash, RequestId, Verified};

use crate::harness::{Answer, House, Joiner, Member, rng};
use crate::members::phone_of;

impl Member {
    fn agrees(&self, subject: Subject) -> Verified<Approval> {
        change::approve(self.acting(), subject).unwrap()
    }

    async fn kept(&self, house: &House) -> Vec<Vec<u8>> {
        let path = format!("/v1/chains/{}/approvals", self.chain());
        let kept: Approvals = house.read(&self.keys, &path).await.decode();
        kept.approvals.into_iter().map(|form| form.0).collect()
    }
}

async fn gives(house: &House, approval: &Verified<Approval>) -> Answer {
    house.post("/v1/approvals", approval.bytes()).await
}

/// Status and code, `(200, "")` for success.
fn told(answer: &Answer) -> (u16, String) {
    (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn removal(device: DeviceId) -> Subject {
    Subject::Remove(vec![Removal { device, cut: Cut { counter: 0, last: None, at: CutAt::Last } }])
}

/// A laptop and two phones of one chain, all approvers, all at its head.
async fn three(house: &House) -> (Member, Member, Member) {
    let mut laptop = Member::founds(house).await;
    let mut phone = phone_of(house, &mut laptop).await;
    let tablet = phone_of(house, &mut laptop).await;
    phone.roster = laptop.roster.clone();
    (laptop, phone, tablet)
}

#[tokio::test]
async fn two_approvers_remove_a_third_with_what_the_relay_handed_on() {
    let house = House::start().await;
    let (mut laptop, mut phone, tablet) = three(&house).await;
    let quorums = Quorums { admit: 1, remove: 2, policy: 1, closing: 1 };
    let policy =
        change::change_policy(laptop.acting(), Policy { quorums, ..Policy::default() }, Vec::new(), 3).unwrap();
    assert_eq!(house.append(&policy).await.status, 200);
    laptop.follows(&policy);
    phone.follows(&policy);
    let approval = phone.agrees(removal(tablet.keys.id()));
    let mut screen = laptop.connects(&house, None).await;
    for _ in 0..2 {
        assert_eq!(told(&gives(&house, &approval).await), refused(200, ""), "the same bytes get the same answer");
    }
    let ToDevice::Approved(Approved { approval: pushed }) = screen.next().await else {
        panic!("expected the approval")
    };
    let removals = match &approval.subject {
        Subject::Remove(removals) => removals.clone(),
        _ => unreachable!(),
    };
    let keep = change::RecoveryChange::Keep;
    let lost = RemoveReason::Lost;
    let alone = change::remove(laptop.acting(), removals.clone(), lost, keep, Vec::new(), 4, &mut rng()).unwrap();
    assert_eq!(house.append(&alone).await.code(), "quorum");
    let both = change::remove(laptop.acting(), removals, lost, keep, vec![pushed], 4, &mut rng()).unwrap();
    assert_eq!(laptop.kept(&house).await, [approval.bytes().to_vec()], "until an entry takes it");
    assert_eq!(house.append(&both).await.status, 200);
    laptop.opens(&both);
    assert!(laptop.kept(&house).await.is_empty());
    assert_eq!(told(&gives(&house, &approval).await), refused(409, "approval-void"));
    assert!(matches!(screen.next_acknowledged().await, ToDevice::Entries(_)), "it was pushed once");
}

#[tokio::test]
async fn an_approval_is_taken_from_an_approver_that_has_a_voice_at_a_head_that_counts() {
    let house = House::start().await;
    let (mut laptop, mut phone, mut tablet) = three(&house).await;
    let subject = removal(tablet.keys.id());
    let stranger = Joiner::new(laptop.keyring.code());
    let signed_by = |keys: &protocol::keys::DeviceKeys, change: &dyn Fn(&mut Approval)| {
        let mut form = (*laptop.agrees(subject.clone())).clone();
        change(&mut form);
        Verified::sign(form, &keys.signing, &[]).unwrap()
    };
    let unknown = gives(&house, &signed_by(&stranger.keys, &|_| {})).await;
    assert_eq!(told(&unknown), refused(403, "not-a-member"));
    let nowhere = gives(&house, &signed_by(&stranger.keys, &|form| form.chain.0[0] ^= 1)).await;
    assert_eq!(told(&nowhere), refused(403, "not-a-member"), "a chain that does not exist looks the same");
    let elsewhere = gives(&house, &signed_by(&laptop.keys, &|form| form.head = Hash([7; 32]))).await;
    assert_eq!(told(&elsewhere), refused(409, "unknown-head"));
    let old_head = Hash(laptop.chain().0);
    let old = gives(&house, &signed_by(&laptop.keys, &|form| form.head = old_head)).await;
    assert_eq!(told(&old), refused(409, "approval-void"), "two admissions ago");
    let own = gives(&house, &tablet.agrees(subject.clone())).await;
    assert_eq!(told(&own), refused(409, "approval-void"), "it has no voice about itself");
    let kept = phone.agrees(subject.clone());
    assert_eq!(gives(&house, &kept).await.status, 200);
    let deny = laptop.denies(&Joiner::new(laptop.keyring.code()), 0);
    assert_eq!(house.append(&deny).await.status, 200);
    for member in [&mut laptop, &mut phone, &mut tablet] {
        member.follows(&deny);
    }
    assert_eq!(tablet.kept(&house).await, [kept.bytes().to_vec()], "a denial changes nothing about it");
    let writer = RoleSubject { device: tablet.keys.id(), role: Role::Writer, cut: None };
    let entry: Verified<Entry> = change::change_role(laptop.acting(), writer, Vec::new(), 3).unwrap();
    assert_eq!(house.append(&entry).await.status, 200);
    for member in [&mut laptop, &mut phone, &mut tablet] {
        member.follows(&entry);
    }
    assert!(tablet.kept(&house).await.is_empty(), "another change does");
    assert_eq!(told(&gives(&house, &tablet.agrees(Subject::Closing)).await), refused(403, "not-an-approver"));
    let path = format!("/v1/chains/{}/approvals", laptop.chain());
    assert_eq!(house.read(&stranger.keys, &path).await.code(), "not-a-member");
}

#[tokio::test]
async fn an_approval_of_an_admission_lives_as_long_as_its_request() {
    let house = House::start().await;
    let (laptop, phone, _) = three(&house).await;
    let joiner = Joiner::new(laptop.keyring.code());
    let admit = |request: RequestId| Subject::Admit(AdmitSubject { request, role: Role::Approver });
    assert_eq!(told(&gives(&house, &phone.agrees(admit(joiner.id()))).await), refused(409, "request-unknown"));
    assert_eq!(joiner.asks(&house).await.status, 202);
    let approval = phone.agrees(admit(joiner.id()));
    assert_eq!(gives(&house, &approval).await.status, 200);
    let closing = phone.agrees(Subject::Closing);
    assert_eq!(gives(&house, &closing).await.status, 200);
    let house = house.restart().await;
    let mut late = laptop.connects(&house, None).await;
    assert!(matches!(late.next().await, ToDevice::Requested(_)));
    for expected in [&approval, &closing] {
        let told = late.next().await;
        assert!(
            matches!(told, ToDevice::Approved(told) if *told.approval == **expected.bytes()),
            "also after a restart"
        );
    }
    assert_eq!(house.post("/v1/withdrawals", joiner.withdrawal().bytes()).await.status, 200);
    assert_eq!(laptop.kept(&house).await, [closing.bytes().to_vec()]);
    let again = laptop.agrees(admit(joiner.id()));
    assert_eq!(told(&gives(&house, &again).await), refused(409, "request-closed"));
}

#[tokio::test]
async fn one_approver_fills_nothing_and_all_together_as_much_as_a_chain_may_have() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phones = Vec::new();
    for _ in 0..8 {
        phones.push(phone_of(&house, &mut laptop).await);
    }
    let subject = |number: u8| removal(DeviceId([number; 32]));
    for number in 0..=8 {
        assert_eq!(gives(&house, &laptop.agrees(subject(number))).await.status, 200);
    }
    let kept = laptop.kept(&house).await;
    assert_eq!(kept.len(), 8);
    assert_eq!(kept.first(), Some(&laptop.agrees(subject(1)).bytes().to_vec()), "its oldest made room");
    for phone in &mut phones {
        phone.roster = laptop.roster.clone();
    }
    for phone in &phones[..7] {
        for number in 0..8 {
            assert_eq!(gives(&house, &phone.agrees(subject(number))).await.status, 200);
        }
    }
    let full = gives(&house, &phones[7].agrees(subject(0))).await;
    assert_eq!(told(&full), refused(429, "too-many-approvals"));
    assert!(full.headers.contains_key("retry-after"));
    assert_eq!(laptop.kept(&house).await.len(), 64);
    assert_eq!(gives(&house, &laptop.agrees(subject(9))).await.status, 200, "who has some replaces one");
}
