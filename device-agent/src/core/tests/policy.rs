//! Changing the policy: what is refused, what is said first, and what must be asked for by name.

use protocol::policy::How;

use super::super::PolicyWish;
use super::*;

fn codes(laptop: &Laptop, wish: &PolicyWish) -> (Vec<String>, Option<String>) {
    let plan = laptop.core.policy_plan(wish).unwrap();
    (plan.cautions.into_iter().map(|caution| caution.code).collect(), plan.refused.map(|told| told.code))
}

fn sets(laptop: &mut Laptop, wish: &PolicyWish) -> Result<(), AgentError> {
    let policy = laptop.core.wished(wish)?;
    laptop.core.policy_refused(&policy, &wish.accepted)?;
    let entries = laptop.core.change_policy(&policy, laptop.core.roster().policy_seq())?;
    laptop.takes(&entries[0]);
    Ok(())
}

#[test]
fn a_quorum_that_nobody_could_reach_is_refused_and_one_of_all_is_warned_of() {
    let mut laptop = Laptop::founds();
    let two = PolicyWish { quorum_admit: Some(2), ..PolicyWish::default() };
    let below = |others: &[&str]| others.iter().chain(&["policy-below"]).map(|code| (*code).to_owned()).collect();
    assert_eq!(codes(&laptop, &two), (below(&[]), Some("too-few-approvers".to_owned())));
    laptop.admits("phone");
    assert_eq!(codes(&laptop, &two), (below(&["all-approvers"]), None));
    laptop.admits("tablet");
    assert_eq!(codes(&laptop, &two), (below(&[]), None));
    let few = PolicyWish { members_max: Some(2), ..PolicyWish::default() };
    assert_eq!(codes(&laptop, &few).1.as_deref(), Some("chain-full"));
    for wrong in [
        PolicyWish { request_lifetime: Some(0), ..PolicyWish::default() },
        PolicyWish { quorum_policy: Some(0), ..PolicyWish::default() },
        PolicyWish { ways: Some(vec!["totp".to_owned()]), ..PolicyWish::default() },
    ] {
        assert_eq!(codes(&laptop, &wrong).1.as_deref(), Some("bad-policy"), "{wrong:?}");
    }
    assert_eq!(codes(&laptop, &PolicyWish::default()).1.as_deref(), Some("nothing-changes"));
    sets(&mut laptop, &two).unwrap();
    assert_eq!(laptop.core.roster().policy().quorums.admit, 2);
    let back = PolicyWish { quorum_admit: Some(1), ..PolicyWish::default() };
    assert_eq!(codes(&laptop, &back), (vec!["fewer-approvers".to_owned()], None));
}

/// One approver who may admit alone lets in two of its own, and has any quorum.
#[test]
fn a_quorum_that_a_lower_one_gets_round_is_warned_of() {
    let mut laptop = Laptop::founds();
    let _ = ["phone", "tablet"].map(|name| laptop.admits(name));
    let quorums = |admit, remove, policy| PolicyWish {
        quorum_admit: Some(admit),
        quorum_remove: Some(remove),
        quorum_policy: Some(policy),
        ..PolicyWish::default()
    };
    let said = |wish: &PolicyWish| codes(&laptop, wish).0;
    assert_eq!(said(&quorums(1, 2, 1)), ["admit-below", "policy-below"]);
    assert_eq!(said(&quorums(1, 2, 2)), ["admit-below"]);
    assert_eq!(said(&quorums(2, 2, 1)), ["policy-below"]);
    assert!(said(&quorums(2, 1, 2)).is_empty() && said(&quorums(2, 2, 2)).is_empty());
    sets(&mut laptop, &quorums(1, 2, 2)).unwrap();
    let shown = laptop.core.policy_view().cautions;
    assert!(shown[0].text.starts_with("one approver alone can let in devices of their own"), "{shown:?}");
}

#[test]
fn a_way_that_checks_nothing_is_asked_for_by_the_name_of_its_risk() {
    let mut laptop = Laptop::founds();
    let ways = |accepted: &[&str]| PolicyWish {
        ways: Some(vec!["none".to_owned(), "typed".to_owned()]),
        accepted: accepted.iter().map(|risk| (*risk).to_owned()).collect(),
        ..PolicyWish::default()
    };
    assert!(matches!(sets(&mut laptop, &ways(&[])), Err(AgentError::RiskNotTaken { .. })));
    assert_eq!(codes(&laptop, &ways(&["no-check"])), (vec!["no-check".to_owned()], None));
    sets(&mut laptop, &ways(&["no-check"])).unwrap();
    assert_eq!(laptop.core.roster().policy().ways, [How::Typed, How::None]);
    let wrong = PolicyWish { ways: Some(vec!["magic".to_owned()]), ..PolicyWish::default() };
    assert!(matches!(laptop.core.policy_plan(&wrong), Err(AgentError::Usage { .. })));
}

#[test]
fn what_was_shown_is_what_is_replaced() {
    let mut laptop = Laptop::founds();
    let lifetime = |seconds| PolicyWish { request_lifetime: Some(seconds), ..PolicyWish::default() };
    let base = laptop.core.policy_plan(&lifetime(60)).unwrap().base;
    let policy = laptop.core.wished(&lifetime(60)).unwrap();
    sets(&mut laptop, &lifetime(90)).unwrap();
    assert!(matches!(laptop.core.change_policy(&policy, base), Err(AgentError::ChangedMeanwhile)));
    laptop.admits("phone");
    let base = laptop.core.policy_plan(&lifetime(60)).unwrap().base;
    assert!(laptop.core.change_policy(&policy, base).is_ok(), "an admission in between changes no policy");
}

#[test]
fn who_may_not_decide_changes_no_policy() {
    let mut laptop = Laptop::founds();
    laptop.sees_a_fork();
    let wish = PolicyWish { request_lifetime: Some(60), ..PolicyWish::default() };
    assert_eq!(codes(&laptop, &wish).1.as_deref(), Some("forked"));
    let policy = laptop.core.wished(&wish).unwrap();
    assert!(matches!(laptop.core.change_policy(&policy, 0), Err(AgentError::Forked)));
}
