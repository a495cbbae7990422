//! The settings of a policy by name, as they are shown, changed and compared.

use protocol::policy::Policy;

/// One thing that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// What.
    pub(super) name: &'static str,
    /// Its value before.
    pub(super) from: String,
    /// Its value now.
    pub(super) to: String,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The option of `policy set` that changes it; of one-time codes the command.
    pub(super) option: &'static str,
    /// Its value, as it is typed.
    pub(super) value: String,
    /// What it does.
    pub(super) meaning: &'static str,
}

/// Name of the field of sealed bytes: two of them can hold the same.
pub(super) const SECRET: &str = "secret of one-time codes";

/// Every setting of a policy, in the order in which they are shown.
pub(super) fn settings(policy: &Policy) -> Vec<Setting> {
    let ways: Vec<&str> = policy.ways.iter().map(|way| way.name()).collect();
    let quorums = policy.quorums;
    let setting = |option, value, meaning| Setting { option, value, meaning };
    vec![
        setting(
            "ways",
            ways.join(","),
            "how a device may be let in: typed (a person types its check code), totp (a right code of an authenticator), none (nothing is checked)",
        ),
        setting("quorum-admit", quorums.admit.to_string(), "approvers that must agree to let a device in"),
        setting("quorum-remove", quorums.remove.to_string(), "approvers that must agree to remove devices"),
        setting(
            "quorum-policy",
            quorums.policy.to_string(),
            "approvers that must agree to change these settings, or a role",
        ),
        setting("quorum-closing", quorums.closing.to_string(), "approvers that must agree to end the chain"),
        setting("request-lifetime", duration(policy.request_lifetime), "how long a request to join stays open"),
        setting("members-max", policy.members_max.to_string(), "most devices of the chain, the recovery device aside"),
        setting(
            "closing-delay",
            duration(policy.closing_delay),
            "how long the end of the chain stays announced before it may be carried out",
        ),
        setting("reset-delay", duration(policy.reset_delay), "how long a reset waits at the relay for a veto"),
        setting(
            "totp",
            policy.totp.as_ref().map_or("none", |totp| totp.mode.name()).to_owned(),
            "codes of an authenticator: way (one may let a device in), before-prompt (nobody is asked about a device without one), none",
        ),
    ]
}

/// What two policies differ in.
pub(super) fn differences(before: &Policy, after: &Policy) -> Vec<Field> {
    let mut fields: Vec<Field> = settings(before)
        .into_iter()
        .zip(settings(after))
        .filter(|(from, to)| from.value != to.value)
        .map(|(from, to)| Field { name: from.option, from: from.value, to: to.value })
        .collect();
    let secret = |policy: &Policy| policy.totp.as_ref().map(|totp| totp.secret.clone());
    if let (Some(from), Some(to)) = (secret(before), secret(after))
        && from != to
    {
        // With other settings the same secret is sealed anew where the epoch is another; by itself, or with the mode, it is another one.
        let mode = |policy: &Policy| policy.totp.as_ref().map(|totp| totp.mode);
        let alone = fields.is_empty() || mode(before) != mode(after);
        fields.push(Field {
            name: SECRET,
            from: "the old one".to_owned(),
            to: if alone { "a new secret" } else { "the same sealed anew, or another" }.to_owned(),
        });
    }
    fields
}

/// Seconds as they are typed, in the largest unit that leaves nothing over.
pub(crate) fn duration(seconds: u32) -> String {
    let unit = [("d", 86_400), ("h", 3600), ("m", 60)]
        .into_iter()
        .find(|(_, unit)| seconds > 0 && seconds.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use protocol::cbor::Blob;
    use protocol::policy::{Policy, Totp, TotpMode};

    use super::{differences, duration};

    #[test]
    fn a_secret_that_changes_by_itself_is_a_new_one() {
        let policy = |mode, secret, members_max| Policy {
            totp: Some(Totp { mode, secret: Blob(vec![secret]) }),
            members_max,
            ..Policy::default()
        };
        let said = |before: Policy, after: Policy| differences(&before, &after).pop().unwrap().to;
        let before = || policy(TotpMode::Way, 1, 8);
        assert_eq!(said(before(), policy(TotpMode::Way, 2, 8)), "a new secret");
        assert_eq!(said(before(), policy(TotpMode::BeforePrompt, 2, 8)), "a new secret");
        assert_eq!(said(before(), policy(TotpMode::Way, 2, 9)), "the same sealed anew, or another");
        assert_eq!(said(before(), policy(TotpMode::Way, 1, 9)), "9", "it stays");
    }

    #[test]
    fn a_duration_is_shown_as_it_is_typed() {
        let shown = [0, 90, 900, 5400, 3600, 604_800].map(duration);
        assert_eq!(shown, ["0s", "90s", "15m", "90m", "1h", "7d"]);
    }
}
