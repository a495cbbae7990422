//! Founding entries that nobody may take.

use protocol::DeviceId;
use protocol::cbor::{self, Blob};
use protocol::entry::{Body, Found, Recovery};
use protocol::policy::{How, Policy, Quorums, Totp, TotpMode};

use super::{Cases, Defect, ENTRY};
use crate::vectors::making::{Made, Proof};
use crate::world::{Chain, keys};

pub(super) fn all(all: &mut Cases) {
    let chain = Chain::founded();
    let join = chain.founding.code.join_key();
    let laptop = &chain.laptop;
    let changed = |change: &dyn Fn(&mut Found)| {
        let mut form = (*chain.founding.entry).clone();
        let Body::Found(found) = &mut form.body else { panic!("found is found") };
        change(found);
        cbor::encode(&form)
    };
    let proven = |payload: &[u8]| Made::new(ENTRY, &laptop.signing, payload.to_vec(), vec![Proof::join(&join)]);
    let payload = changed(&|_| {});
    let bare = Made::new(ENTRY, &laptop.signing, payload.clone(), Vec::new());
    all.founding("found-without-proof", "the join key proves nothing", "bad-proof", bare);
    let stranger = keys("stranger");
    let forged = Made::new(ENTRY, &laptop.signing, payload.clone(), vec![Proof::join(&stranger.signing)]);
    all.founding("found-proven-by-a-stranger", "the proof is by another key", "bad-proof", forged);
    let signed = Made::new(ENTRY, &stranger.signing, payload, vec![Proof::join(&join)]);
    all.founding("found-signed-by-a-stranger", "the signer is not the founder named", "wrong-signer", signed);
    let own = changed(&|found| found.device.signing = DeviceId(join.public()));
    let own = Made::new(ENTRY, &join, own, vec![Proof::join(&join)]);
    all.founding("founder-is-the-join-key", "every holder of the code would be the founder", "bad-field", own);
    let recovery = changed(&|found| {
        found.recovery = Some(Recovery { device: laptop.public(), epoch_key: Blob(vec![1]) });
    });
    let proofs = vec![Proof::join(&join), Proof::recovery(&laptop.signing)];
    let recovery = Made::new(ENTRY, &laptop.signing, recovery, proofs);
    all.founding("founder-is-its-own-recovery", "recovery and founder share keys", "bad-field", recovery);
    for (file, says, expected, change) in policies() {
        all.founding(file, says, expected, proven(&changed(&|found| change(&mut found.policy))));
    }
}

fn policies() -> [Defect<'static, Policy>; 23] {
    [
        ("policy-no-way", "no way of admission counts", "bad-policy", &|policy| policy.ways = vec![]),
        ("policy-way-twice", "a way stands twice", "bad-policy", &|policy| policy.ways = vec![How::Typed; 2]),
        ("policy-way-recovery", "recovery is no way of a policy", "bad-policy", &|policy| {
            policy.ways = vec![How::Typed, How::Recovery];
        }),
        ("policy-quorum-zero", "a quorum of nobody", "bad-policy", &|policy| policy.quorums.admit = 0),
        ("policy-no-members", "most members is 0", "bad-policy", &|policy| policy.members_max = 0),
        ("policy-129-members", "more members than any chain has", "bad-policy", &|policy| policy.members_max = 129),
        ("policy-lifetime-zero", "requests that expire at once", "bad-policy", &|policy| policy.request_lifetime = 0),
        ("policy-ways-descending", "ways are ascending", "bad-policy", &|policy| {
            policy.ways = vec![How::Ticket, How::Typed]
        }),
        ("policy-removal-by-nobody", "a quorum of nobody to remove", "bad-policy", &|policy| policy.quorums.remove = 0),
        ("policy-change-by-nobody", "a quorum of nobody for the policy", "bad-policy", &|policy| {
            policy.quorums.policy = 0
        }),
        ("policy-closing-by-nobody", "a quorum of nobody to close", "bad-policy", &|policy| policy.quorums.closing = 0),
        ("policy-quorum-above-members", "33 approvers of 32 members", "bad-policy", &|policy| {
            policy.quorums.closing = 33
        }),
        ("policy-lifetime-long", "a lifetime of a day and a second", "bad-policy", &|policy| {
            policy.request_lifetime = 86_401
        }),
        ("policy-closing-delay-long", "a delay of more than 365 days", "bad-policy", &|policy| {
            policy.closing_delay = 31_536_001
        }),
        ("policy-reset-delay-long", "a delay of more than 365 days", "bad-policy", &|policy| {
            policy.reset_delay = 31_536_001
        }),
        (
            "policy-bad-and-not-supported",
            "a way not built yet, and a delay that no policy has",
            "bad-policy",
            &|policy| {
                policy.ways = vec![How::Typed, How::Ticket];
                policy.reset_delay = u32::MAX;
            },
        ),
        ("policy-quorum-of-a-removal", "two approvers, and the founder is one", "too-few-approvers", &|policy| {
            policy.quorums.remove = 2
        }),
        ("policy-quorum-two", "two approvers, and the founder is one", "too-few-approvers", &|policy| {
            policy.quorums = Quorums { admit: 2, ..policy.quorums };
        }),
        ("policy-way-ticket", "a way that is not built yet", "not-supported", &|policy| {
            policy.ways = vec![How::Typed, How::Ticket];
        }),
        ("policy-totp-without-its-way", "the mode is way, and no way is totp", "bad-policy", &|policy| {
            policy.totp = Some(Totp { mode: TotpMode::Way, secret: totp_secret() });
        }),
        ("policy-way-without-totp", "a way is totp, and there is no secret", "bad-policy", &|policy| {
            policy.ways = vec![How::Typed, How::Totp];
        }),
        ("policy-totp-short", "a secret of another size", "bad-policy", &|policy| {
            policy.totp = Some(Totp { mode: TotpMode::BeforePrompt, secret: Blob(vec![2; 60]) });
        }),
        ("policy-totp-suite", "a secret of another suite", "bad-policy", &|policy| {
            policy.totp = Some(Totp { mode: TotpMode::BeforePrompt, secret: Blob(vec![1; 61]) });
        }),
    ]
}

/// As much as a policy is asked of its secret.
pub(super) fn totp_secret() -> Blob {
    Blob(vec![2; 61])
}
