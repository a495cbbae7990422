//! The one map from errors to exit codes and hints.

use protocol::credential::{CredentialError, Known};
use protocol::roster::Refusal;

use crate::error::{AgentError, Missing};
use crate::told::{Exit, Head, Told};

/// Maps an error to how it is told.
pub(crate) fn tell(error: &AgentError) -> Told {
    if let AgentError::Told(told) = error {
        return told.clone();
    }
    let (exit, code, hint) = parts(error);
    Told { exit, code: code.to_owned(), message: error.to_string(), hint, proven: proven(error) }
}

/// The head of a log that does not bear its device out, and holds all the same.
fn proven(error: &AgentError) -> Option<Box<Head>> {
    let AgentError::NotProven { error, .. } = error else { return None };
    let Known { chain, head } = error.newest()?;
    let (head, seq) = head?;
    Some(Box::new(Head { chain: chain?.to_string(), head: head.to_string(), seq }))
}

/// What a device that is out of its chain can do: its state directory stays, a new membership needs another.
const ELSEWHERE: &str = "countersign record export FILE   (what this device has)   or   countersign join --home DIR   (in another state directory)";

fn parts(error: &AgentError) -> (Exit, &str, Option<String>) {
    use AgentError as E;
    let hint = |text: &str| Some(text.to_owned());
    match error {
        E::Usage { hint, .. } => (Exit::Usage, "usage", Some(hint.clone()).filter(|hint| !hint.is_empty())),
        E::NotAMember { .. } => (
            Exit::NotAMember,
            "not-a-member",
            hint("countersign init --relay URL   (a new chain)   or   countersign join --relay URL"),
        ),
        E::Removed { .. } => (Exit::NotAMember, "removed", hint(ELSEWHERE)),
        E::Left { .. } => (Exit::NotAMember, "left", hint(ELSEWHERE)),
        E::ShutOut => (
            Exit::NotAMember,
            "not-a-member",
            hint(
                "countersign log show   (on another device of the chain: it says who removed this one, if anybody did)",
            ),
        ),
        E::HomeInUse { .. } => {
            (Exit::Refused, "home-in-use", hint("countersign status   (or another state directory: --home DIR)"))
        }
        E::Unfounded => {
            (Exit::NotAMember, "unfounded", hint("countersign init --relay URL   (it goes on with the same chain)"))
        }
        E::Unrecovered => (
            Exit::NotAMember,
            "unrecovered",
            hint("countersign recovery use   (it goes on, and needs no words any more)"),
        ),
        E::Overtaken => (
            Exit::Refused,
            "changed-meanwhile",
            hint("the same command again   (it shows what is so now, and makes other words)"),
        ),
        E::NoSuchWords => (
            Exit::NotFound,
            "no-such-words",
            hint(
                "countersign recovery use --relay URL   (with the latest paper)   or, with a sync code, countersign join",
            ),
        ),
        E::WordsUntyped => (
            Exit::Failed,
            "words-untyped",
            hint("countersign recovery new   (makes other words; those that were shown are then worth nothing)"),
        ),
        E::WordsUnused => {
            (Exit::Failed, "words-untyped", hint("the same command again, with paper and pen   (it makes other words)"))
        }
        E::NotFound { of, .. } => (Exit::NotFound, "not-found", where_to_look(*of).map(str::to_owned)),
        E::Ambiguous { .. } => {
            (Exit::Usage, "ambiguous", hint("countersign requests list   (and type more of the id)"))
        }
        E::AmbiguousDevice { .. } => {
            (Exit::Usage, "ambiguous", hint("countersign devices list   (and type more of the id)"))
        }
        E::AmbiguousProposal { .. } => {
            (Exit::Usage, "ambiguous", hint("countersign approvals list   (and type more of the id)"))
        }
        E::NoVoice => (Exit::Refused, "no-voice", None),
        E::TypeTheCode { id } => (Exit::Usage, "type-the-code", Some(format!("countersign approve {id}"))),
        E::OtherRole { id, role, .. } => (
            Exit::Refused,
            "other-role",
            Some(format!("countersign approve {id} --role {role}   or   countersign deny {id}")),
        ),
        E::CutBehind => (
            Exit::Refused,
            "cut-behind",
            hint("countersign devices remove NAME --reason lost   (what it goes on to write is then disputed)"),
        ),
        E::Decided { .. } => (Exit::NotFound, "already-decided", hint("countersign log show")),
        E::Expired => (Exit::Expired, "expired", hint("countersign join   (on the new device: it asks anew)")),
        E::Withdrawn => (Exit::NotFound, "withdrawn", None),
        E::StaleRequest => (
            Exit::Expired,
            "stale-join-key",
            hint("countersign code show   (and join on the new device with these words)"),
        ),
        E::NotOpened { id } => (Exit::Refused, "not-opened", Some(format!("countersign requests show {id}"))),
        E::NoAnswer { id } => (
            Exit::Expired,
            "no-answer",
            Some(format!("countersign requests show {id}   (is the new device still running join?)")),
        ),
        E::WrongCode { .. } => {
            (Exit::Refused, "wrong-code", hint("read the code from the new device's screen, and type it again"))
        }
        E::Burned => (Exit::Refused, "burned", hint("The new device is not told: stop it there and run join again.")),
        E::NotACode => (Exit::Usage, "not-a-code", None),
        E::PromptLimit { .. } => {
            (Exit::Refused, "prompt-limit", hint("somebody may be wearing you out: wait a day, or deny"))
        }
        E::OpenLimit { .. } => {
            (Exit::Refused, "open-limit", hint("countersign requests list   (approve or deny one first)"))
        }
        E::NoRoundLeft => (Exit::Refused, "round-taken", hint("countersign join   (on the new device: it asks anew)")),
        E::NotAWriter => {
            (Exit::Refused, "not-a-writer", hint("countersign devices role NAME writer   (on a device that approves)"))
        }
        E::NotAnApprover => {
            (Exit::Refused, "not-an-approver", hint("countersign devices list   (who is one: it is typed there)"))
        }
        E::NotProven { error, .. } => not_proven(error),
        E::ChangedMeanwhile => {
            (Exit::Refused, "changed-meanwhile", hint("countersign log show   (what changed; then decide again)"))
        }
        E::OwnRefused(refusal @ Refusal::LastApprover) => (
            Exit::Refused,
            refusal.code(),
            hint("countersign devices role NAME approver   (or countersign join on another device)"),
        ),
        E::OwnRefused(refusal @ Refusal::TooFewApprovers { .. }) => (
            Exit::Refused,
            refusal.code(),
            hint("countersign devices role NAME approver   (or join with another device, or ask for fewer)"),
        ),
        E::OwnRefused(refusal @ Refusal::Policy(_)) => (
            Exit::Refused,
            refusal.code(),
            hint("countersign policy set --help   (one-time codes: countersign totp setup, or totp off)"),
        ),
        E::OwnRefused(refusal @ Refusal::SelfRemoval) => (Exit::Refused, refusal.code(), hint("countersign leave")),
        E::CodesLocked { .. } => (Exit::Refused, "totp-locked", hint("countersign totp unlock")),
        E::WrongOneTimeCode => (Exit::Refused, "wrong-totp", hint("type the next code that the authenticator shows")),
        E::CodeIsNoVoice { .. } => (
            Exit::Refused,
            "totp-alone",
            hint("countersign totp setup --mode before-prompt   (a code besides the approvers)"),
        ),
        E::NoContent => (
            Exit::Failed,
            "no-content",
            hint("countersign status   (on another device of the chain: that connects it)"),
        ),
        E::SecretUnopened => (
            Exit::Verification,
            "totp-unopened",
            hint("countersign totp setup   (another one; and ask whoever sealed this)"),
        ),
        E::NoOneTimeCodes => (Exit::NotFound, "no-totp", hint("countersign totp setup")),
        E::RiskNotTaken { risk, .. } => (
            Exit::Usage,
            "risk-not-taken",
            Some(format!("the same with --accept-risk={risk}   (if that is what you want)")),
        ),
        E::OwnRefused(refusal) => (Exit::Refused, refusal.code(), None),
        E::HeadKeepsMoving => (Exit::Refused, "head-moved", hint("try again")),
        E::OutboxFull => {
            (Exit::Refused, "outbox-full", hint("countersign status   (is the relay reached, does run run?)"))
        }
        E::MayNotSettle => (
            Exit::Refused,
            "not-an-approver",
            hint("countersign log settle   (on a device that approves on both branches)"),
        ),
        E::BranchAsksForMore => (
            Exit::Refused,
            "branch-asks-for-more",
            hint("countersign log settle   (and keep the other one), or change the policy on the branch that you keep"),
        ),
        E::RecoveryUnderQuorum => (
            Exit::Refused,
            "recovery-under-quorum",
            hint(
                "countersign policy set --quorum-admit 1 --quorum-remove 1 --quorum-policy 1 --quorum-closing 1   (together; then \
                 recovery new, then back)",
            ),
        ),
        E::BranchTooLong => (Exit::Refused, "branch-too-long", None),
        E::Closed => (
            Exit::Refused,
            "chain-closed",
            hint("countersign record export FILE   (what this device has stays readable)"),
        ),
        E::WasReset { .. } | E::Reset { .. } => (
            Exit::NotAMember,
            "reset",
            hint(
                "countersign record export FILE   (what this device has)   or   countersign relay move --relay URL   (another relay takes the chain)",
            ),
        ),
        E::NothingToJoin => (
            Exit::NotAMember,
            "reset",
            hint("countersign init --relay URL   (found a new one; it has another sync code)"),
        ),
        E::ClosingTooEarly { .. } => (
            Exit::Refused,
            "closing-too-early",
            hint("countersign chain purge   (then)   or   countersign chain veto   (stops it)"),
        ),
        E::JoinKeyTaken => (
            Exit::Refused,
            "join-key-taken",
            hint(
                "countersign relay move --relay URL   (another relay; who founded that chain knows a sync code of this one)",
            ),
        ),
        E::Moved { .. } => (Exit::Unreachable, "moved", None),
        E::Forked => (Exit::Verification, "forked", hint("countersign log settle   (shows both branches)")),
        E::Unreachable { why, .. } if why.starts_with("proxy ") => (
            Exit::Unreachable,
            "unreachable",
            hint(
                "the environment names this proxy: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY   (NO_PROXY=HOST goes straight)",
            ),
        ),
        E::Unreachable { why, .. } if why.contains("UnknownIssuer") => (
            Exit::Unreachable,
            "unreachable",
            hint(
                "countersign init or join with --relay-ca FILE   (if the relay's certificates are from an authority of your own)",
            ),
        ),
        E::Unreachable { .. } => (
            Exit::Unreachable,
            "unreachable",
            hint("the same command again   (is the address right, does the relay run, is it https:// or http://?)"),
        ),
        E::OtherAddress { origin } => (
            Exit::Refused,
            "bad-signature",
            Some(format!(
                "--relay URL with the address that the relay knows itself by   (or its operator adds {origin:?} to public_origins)"
            )),
        ),
        E::Problem { status, code, .. } => problem(*status, code),
        E::Garbled { .. } => (Exit::Failed, "garbled", hint("does the address name a Countersign relay?")),
        E::BadForm(error) => (Exit::Verification, error.code(), None),
        E::BadEntry(refusal) => (Exit::Verification, refusal.code(), hint("countersign log verify")),
        E::BadRecord(refusal) => (Exit::Verification, refusal.code(), hint("countersign log verify")),
        E::Sealed { .. } => {
            (Exit::Verification, "sealed", hint("countersign record put COLLECTION ID   (replaces it)"))
        }
        E::AsideFull => {
            (Exit::Failed, "aside-full", hint("countersign status   (records go on to be read as they were)"))
        }
        E::Fork { .. } | E::ForkThere { .. } => (
            Exit::Verification,
            "fork",
            hint("countersign log settle   (shows both branches; an approver of both ends it)"),
        ),
        E::OtherEpochKey { why, .. } => (
            Exit::Verification,
            why.code(),
            hint("countersign code rotate   (on a device that you trust; and remove the one that signed that entry)"),
        ),
        E::BadName => (Exit::Usage, "bad-name", hint("countersign record put COLLECTION ID VALUE")),
        E::ValueTooLong { .. } => (Exit::Usage, "too-large", hint("split it   (into several records)")),
        E::LogWithout { .. } => (
            Exit::Verification,
            "verification-failed",
            hint("the same without --accept-log   (it shows the log that this relay has)   or with another relay"),
        ),
        E::Lie { .. } => (Exit::Verification, "verification-failed", None),
        E::File { source, .. } => (
            Exit::Failed,
            "file",
            match source.kind() {
                std::io::ErrorKind::NotFound => {
                    hint("is the name right?   (a relative one begins in the folder in which you type)")
                }
                std::io::ErrorKind::PermissionDenied => hint("ls -l   (may this user read and write it?)"),
                _ => None,
            },
        ),
        E::OpenToOthers { path, .. } => (Exit::Failed, "open-to-others", Some(format!("chmod 600 {}", path.display()))),
        E::BadKeyFile { .. } => (Exit::Failed, "bad-key-file", None),
        E::Locked { .. } => (Exit::Failed, "locked", hint("wait for it, or stop it")),
        E::Store(_) | E::Damaged { .. } => (Exit::Failed, "store", None),
        E::Terminal(_) => (Exit::Failed, "terminal", None),
        E::Daemon { .. } => (Exit::Failed, "daemon", hint("restart it: countersign run")),
        E::Told(told) => (told.exit, told.code.as_str(), told.hint.clone()),
        E::OwnForm(error) => (Exit::Refused, error.code(), None),
        E::Task { .. } => (Exit::Failed, "task", None),
    }
}

/// The command that lists what there is of a kind.
const fn where_to_look(of: Missing) -> Option<&'static str> {
    match of {
        Missing::Request => Some("countersign requests list"),
        Missing::Record => Some("countersign record list"),
        Missing::Queued => Some("countersign record queue"),
        Missing::Device => Some("countersign devices list"),
        Missing::Proposal => Some("countersign approvals list"),
        Missing::Other => None,
    }
}

/// A credential that the rules refuse, against one that does not verify.
fn not_proven(error: &CredentialError) -> (Exit, &str, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    let (exit, hint) = match error {
        CredentialError::Behind { .. } => (
            Exit::Refused,
            hint("countersign credential export DEVICE FILE   (on a device of the chain that has the newer log)"),
        ),
        CredentialError::NotAMember { .. } | CredentialError::ChainClosed { .. } => (Exit::Refused, None),
        CredentialError::OtherBranch { .. } => {
            (Exit::Verification, hint("countersign status   (on devices of the chain: which of them has this head?)"))
        }
        _ => (Exit::Verification, None),
    };
    (exit, error.code(), hint)
}

/// Problems of the relay, by their stable code first and their status second.
fn problem(status: u16, code: &str) -> (Exit, &str, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match code {
        "not-a-member" => (Exit::NotAMember, code, hint("countersign status")),
        "conflict" => (Exit::Refused, code, hint("countersign record get COLLECTION ID   (and write again)")),
        "already-decided" => (Exit::NotFound, code, hint("countersign log show")),
        "request-closed" => (Exit::Expired, code, hint("countersign join   (on the new device: it asks anew)")),
        "bad-signature" | "connect-refused" => (
            Exit::Refused,
            code,
            hint("countersign doctor   (does the relay know itself by the address that is dialled here?)"),
        ),
        "unknown-join-key" => (
            Exit::NotFound,
            code,
            hint("countersign code show   (on a device of the chain: it shows words and address)"),
        ),
        "chain-closed" => {
            (Exit::Refused, code, hint("countersign log show   (on a device of the chain: who closed it)"))
        }
        "reset-over" => (
            Exit::NotFound,
            code,
            hint(
                "countersign chain reset --wait DURATION   (this one was stopped, or another took its place; with another wait it is a new one)",
            ),
        ),
        "clock" => (Exit::Refused, code, hint("set this machine's clock")),
        "too-many-pending" => (
            Exit::Refused,
            code,
            hint(
                "countersign code rotate   (on a device of the chain: it ends those that wait; then join with the new words)",
            ),
        ),
        _ => match status {
            404 | 410 => (Exit::NotFound, code, None),
            429 => (Exit::Refused, code, hint("wait a little and try again")),
            500..=599 => (Exit::Unreachable, code, hint("try again; nothing is lost")),
            _ => (Exit::Refused, code, None),
        },
    }
}
