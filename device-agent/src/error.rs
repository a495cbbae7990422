//! What can go wrong in the agent, sorted by blame. [`crate::exit`] maps each to an exit code and a hint.

use std::path::PathBuf;

use protocol::FormError;
use protocol::credential::CredentialError;
use protocol::keyring::KeyringError;
use protocol::record::RecordRefusal;
use protocol::roster::Refusal;

use crate::clock;

/// What was looked for, and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A join request.
    Request,
    /// A record.
    Record,
    /// An own write that waits.
    Queued,
    /// A member.
    Device,
    /// What approvers have agreed to.
    Proposal,
    /// Something that no command lists.
    Other,
}

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    // --- The caller.
    /// Arguments that do not fit together, or one that is missing.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to type.
        hint: String,
    },
    /// No state directory, or none that belongs to a member.
    #[error("{} holds no membership", home.display())]
    NotAMember {
        /// The state directory.
        home: PathBuf,
    },
    /// A command that needs a new home found a used one.
    #[error("{} already belongs to a device of a chain", home.display())]
    HomeInUse {
        /// The state directory.
        home: PathBuf,
    },
    /// The log removed this device.
    #[error(
        "this device was removed from the chain by {by}, at entry {seq} of the log ({reason}), on {} by that device's clock",
        clock::show(*at)
    )]
    Removed {
        /// Name of the device that signed that, quoted.
        by: String,
        /// The signer's reason.
        reason: &'static str,
        /// Position of the entry.
        seq: u64,
        /// The signer's clock, unix milliseconds. A claim.
        at: u64,
    },
    /// This device left by itself.
    #[error("this device left the chain, at entry {seq} of the log, on {}", clock::show(*at))]
    Left {
        /// Position of the entry.
        seq: u64,
        /// Its own clock then, unix milliseconds.
        at: u64,
    },
    /// Only the relay says that this device is no member: it shows no entry that says so.
    #[error(
        "the relay says that this device is not a member of the chain (any more). That is its word alone: it shows such a device no entry, and the log here does not say so"
    )]
    ShutOut,
    /// `init` was interrupted before the relay acknowledged the chain.
    #[error("the chain was drawn but the relay has not acknowledged it yet")]
    Unfounded,
    /// A chain was founded with recovery words that may be on no paper.
    #[error("the chain is founded, but its recovery words were not typed back: perhaps nobody has them")]
    WordsUntyped,
    /// A recovery that the relay has not acknowledged.
    #[error("this chain is being recovered here, and the relay has not acknowledged it yet")]
    Unrecovered,
    /// Another device changed the membership, or the recovery words, while a person decided on either.
    #[error("the chain changed while you decided, and nothing was done: the new recovery words are worth nothing")]
    Overtaken,
    /// No chain has these recovery words.
    #[error(
        "no chain at this relay has these recovery words: they were replaced, or are those of a sync code, or it is another relay"
    )]
    NoSuchWords,
    /// New recovery words that were not typed back were put into force nowhere.
    #[error("the recovery words were not typed back, so nothing was changed: those words are worth nothing")]
    WordsUnused,
    /// A request, device or record that is not there.
    #[error("{what} is not here")]
    NotFound {
        /// What was looked for.
        what: String,
        /// Of which kind that is: where to look is in the hint.
        of: Missing,
    },
    /// A prefix that several ids have.
    #[error("more than one request begins with {prefix}")]
    Ambiguous {
        /// The prefix.
        prefix: String,
    },
    /// A prefix that several proposals have.
    #[error("more than one proposal begins with {prefix}")]
    AmbiguousProposal {
        /// The prefix.
        prefix: String,
    },
    /// An approver does not agree to what is about itself.
    #[error("this device has no voice in it: it is about this device")]
    NoVoice,
    /// A device is let in by its code, not by agreeing.
    #[error("a device is let in by typing its code")]
    TypeTheCode {
        /// Short id of the request.
        id: String,
    },
    /// Approvals of one admission name one role.
    #[error("{by} approved it as {role}: all who approve must name the same role")]
    OtherRole {
        /// Short id of the request.
        id: String,
        /// Who approved it first, quoted.
        by: String,
        /// As what.
        role: &'static str,
    },
    /// A name or prefix that several devices have.
    #[error("more than one is called {name}, or begins so")]
    AmbiguousDevice {
        /// What was typed, quoted.
        name: String,
    },
    /// A device writes faster than its line can be cut at its end.
    #[error("the device goes on writing, faster than the end of its records can be named")]
    CutBehind,
    /// The relay that was dialled knows itself by other addresses: it refuses whatever a device signs for this one.
    #[error(
        "the relay that answers at {origin} does not know itself by this address, and refuses every read and socket that is signed for it"
    )]
    OtherAddress {
        /// The address that was dialled.
        origin: String,
    },
    // --- The rules.
    /// The request was decided before.
    #[error("already decided: {how}")]
    Decided {
        /// What was decided, on which device.
        how: String,
    },
    /// The lifetime of the request is over.
    #[error("the request has expired")]
    Expired,
    /// The joiner took its request back.
    #[error("the request was withdrawn by the device that asked")]
    Withdrawn,
    /// The sync code has been changed since the request was made.
    #[error("the request was made with a sync code that is dead now")]
    StaleRequest,
    /// A code was given for a request whose prompt this device never opened.
    #[error("the prompt of this request was not opened on this device, so it has no code to compare with")]
    NotOpened {
        /// Short id of the request.
        id: String,
    },
    /// The joiner has not answered the nonce yet.
    #[error("the new device has not answered yet")]
    NoAnswer {
        /// Short id of the request.
        id: String,
    },
    /// Another code than the one that the new device shows.
    #[error("this is not the code that the new device shows ({left} more before the request is denied)")]
    WrongCode {
        /// Tries that are left.
        left: u8,
    },
    /// The last wrong code: the request is denied.
    #[error("three wrong codes: the request is denied")]
    Burned,
    /// Not six digits.
    #[error("a check code is six digits; this was not counted as a try")]
    NotACode,
    /// The daily limit of prompts.
    #[error(
        "this device has opened {opened} prompts for this sync code within a day without an admission, and opens no more"
    )]
    PromptLimit {
        /// Prompts opened.
        opened: u64,
    },
    /// The limit of prompts that are open at a time.
    #[error("{open} prompts are open on this device already")]
    OpenLimit {
        /// Prompts open.
        open: u64,
    },
    /// All rounds of the request are taken.
    #[error("all code rounds of this request are taken by other devices")]
    NoRoundLeft,
    /// This device may not write.
    #[error("this device may read, and not write")]
    NotAWriter,
    /// This device may not decide.
    #[error("this device is no approver")]
    NotAnApprover,
    /// Membership, policy or keys changed between the prompt and the signature.
    #[error("the chain changed while you decided: look at the request again")]
    ChangedMeanwhile,
    /// Too many one-time codes failed.
    #[error(
        "{failed} one-time codes failed here in total: this device compares none until 'countersign totp unlock'. Somebody who has the sync code may be guessing: 'countersign code rotate' replaces it"
    )]
    CodesLocked {
        /// How many.
        failed: u64,
    },
    /// A code that is not of the authenticator, or not of now.
    #[error("this is not the code of now: is it of this chain, and is this machine's clock right?")]
    WrongOneTimeCode,
    /// Where several approvers admit, a right code admits nobody.
    #[error(
        "{quorum} approvers must agree to let a device in, and a one-time code is none of them: every device knows its secret, so one that was stolen would have two voices"
    )]
    CodeIsNoVoice {
        /// So many must agree.
        quorum: u8,
    },
    /// The current version of an item is here, and its content nowhere that this device could read it.
    #[error(
        "the content of this record is not at the relay: it was lost with a branch of the log, or the relay withholds it. A device that has it gives it back when it connects"
    )]
    NoContent,
    /// A proposed policy carries a secret that this device cannot open.
    #[error("the secret of one-time codes in the policy does not open for this device: no code is right with it")]
    SecretUnopened,
    /// The policy asks for no one-time codes.
    #[error("the policy asks for no one-time codes")]
    NoOneTimeCodes,
    /// A setting that makes a promise void, and was not asked for by the name of that.
    #[error("{what}")]
    RiskNotTaken {
        /// Its name.
        risk: String,
        /// What it makes void.
        what: String,
    },
    /// The log refuses an entry of our own.
    #[error("the log refuses it: {0}")]
    OwnRefused(Refusal),
    /// Others kept moving the head.
    #[error("other devices kept changing the log; nothing was decided here")]
    HeadKeepsMoving,
    /// Too many own writes wait for the relay.
    #[error("so many writes wait for the relay that this one was not queued")]
    OutboxFull,
    /// This device may not settle a fork.
    #[error("a fork is settled by an approver of both branches, and this device is not one")]
    MayNotSettle,
    /// The branch that would be given up asks for more approvers than the one that would go on.
    #[error("the branch that you would give up asks for more approvers than the one that you would keep")]
    BranchAsksForMore,
    /// A recovery device fills every quorum alone, so no approver brings one alone where several must agree.
    #[error("new recovery words are made where one approver suffices for everything: whoever has them decides alone")]
    RecoveryUnderQuorum,
    /// A branch that no relay takes at once.
    #[error("the branch that would go on has more entries since the fork than a relay takes at once")]
    BranchTooLong,
    /// The chain has ended.
    #[error("the chain is closed: nothing in it changes any more")]
    Closed,
    /// The relay answers that the chain was reset, with what it says was signed. Nothing of it is verified yet.
    #[error("the relay says that the chain was reset")]
    WasReset {
        /// The signed reset, if one came.
        form: Vec<u8>,
    },
    /// The same, compared with the pinned log.
    #[error(
        "the relay says that the chain was reset: it deleted it, after a wait of {} that somebody with the sync code had announced ({signed}); this device keeps what it has",
        crate::clock::span(wait.saturating_mul(1000))
    )]
    Reset {
        /// Seconds of the wait that was signed.
        wait: u64,
        /// What this device can tell of the signature.
        signed: &'static str,
    },
    /// A device asked to join a chain that was reset.
    #[error("the relay says that the chain of this sync code was reset: it deleted it, and nobody joins it any more")]
    NothingToJoin,
    /// The delay of a closing has not passed at the relay.
    #[error("the end of the chain was announced, and the relay carries it out in {} at the earliest", crate::clock::span(*left))]
    ClosingTooEarly {
        /// Milliseconds that are left, by the relay's count.
        left: u64,
    },
    /// Another chain at the relay has a sync code of this one.
    #[error("the relay has another chain that was founded with a sync code of this one, and will not take this chain")]
    JoinKeyTaken,
    /// The log is forked: membership stands still.
    #[error("the log of this chain is forked: until that is settled membership changes are refused, and writes wait")]
    Forked,
    /// Names that no record has.
    #[error("the name of a collection, and of a record in it, has 1 to 256 characters")]
    BadName,
    /// A value that no record holds.
    #[error("the value is too long: sealed with its names it has {got} bytes; a record's value has at most {} KiB, less its names and the seal", limit / 1024)]
    ValueTooLong {
        /// Bytes that it comes to.
        got: usize,
        /// Bytes that a record has at most.
        limit: usize,
    },
    /// The relay's log lacks the entry that a person knows.
    #[error("the relay shows a log without the entry {named}: it is older than that, or another")]
    LogWithout {
        /// What was typed, quoted.
        named: String,
    },
    /// A credential that proves nothing, or none that could.
    #[error("{what}: {error}")]
    NotProven {
        /// Which file, or which device's.
        what: String,
        /// Why.
        error: CredentialError,
    },
    // --- The relay.
    /// No answer.
    #[error("the relay {relay} is not reachable: {why}")]
    Unreachable {
        /// Its origin.
        relay: String,
        /// What happened.
        why: String,
    },
    /// The chain was moved to another relay: this session is over, and the next one is there.
    #[error("moved to {relay}")]
    Moved {
        /// The new relay's origin.
        relay: String,
    },
    /// The relay refuses, by a problem (RFC 9457).
    #[error("the relay refuses ({code}): {detail}")]
    Problem {
        /// HTTP status.
        status: u16,
        /// Stable code.
        code: String,
        /// Its words, cleaned.
        detail: String,
    },
    /// An answer that is none.
    #[error("the relay's answer is not of this protocol: {what}")]
    Garbled {
        /// What is wrong.
        what: String,
    },
    // --- Verification: somebody lied.
    /// A form that the relay handed over is not what it claims to be.
    #[error("verification failed: {0}")]
    BadForm(FormError),
    /// An entry that the log refuses.
    #[error("verification failed: the relay's log has an entry that the rules refuse: {0}")]
    BadEntry(Refusal),
    /// A record that the rules refuse.
    #[error("verification failed: a record from the relay is refused: {0}")]
    BadRecord(RecordRefusal),
    /// A record that was validly signed and holds what its writer did not seal as it must.
    #[error("a record that {writer} wrote does not open: its header is signed as it must be, its content is garbage")]
    Sealed {
        /// Name of the writer, quoted.
        writer: String,
    },
    /// Too many records wait for entries of the log that the relay does not show.
    #[error("the relay shows more records of a later log than can wait here, and not that log")]
    AsideFull,
    /// The log forks.
    #[error(
        "ALARM: the log forks at entry {seq}: the relay shows another validly signed entry than the one pinned here"
    )]
    Fork {
        /// Position of the two entries.
        seq: u64,
    },
    /// The relay that the chain was to be moved to has another branch of its log.
    #[error(
        "ALARM: the log forks at entry {seq}: {relay} has another validly signed entry than the one pinned here. The address was not changed; the entry is kept as evidence, and membership changes are refused until the fork is settled"
    )]
    ForkThere {
        /// Position of the two entries.
        seq: u64,
        /// Its origin.
        relay: String,
    },
    /// A rotation handed this device another key than the log names.
    #[error(
        "ALARM: entry {seq} of the log ({hash}), signed by {by}, handed this device a key that is not the chain's ({why}): what was written before can be read, nothing else"
    )]
    OtherEpochKey {
        /// Its position.
        seq: u64,
        /// Its hash, short: it is the evidence.
        hash: String,
        /// Name of its signer, quoted.
        by: String,
        /// What does not hold.
        why: KeyringError,
    },
    /// Anything else that does not verify.
    #[error("verification failed: {what}")]
    Lie {
        /// What does not hold.
        what: String,
    },
    // --- The environment.
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// Others can read the keys.
    #[error("{} can be read by others (mode {mode:o})", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key file that is none, or of a later version.
    #[error("{} is no key file of this version", path.display())]
    BadKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// Another process signs for this device.
    #[error("another countersign process works with {}", home.display())]
    Locked {
        /// The state directory.
        home: PathBuf,
    },
    /// The store.
    #[error("the store of this device: {0}")]
    Store(#[from] rusqlite::Error),
    /// The store holds what this program never wrote.
    #[error("the store of this device is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// The terminal.
    #[error("the terminal: {0}")]
    Terminal(std::io::Error),
    /// The daemon went away, or is of another version.
    #[error("the daemon of this device does not answer as expected: {what}")]
    Daemon {
        /// What is wrong.
        what: String,
    },
    /// What the daemon said, already mapped.
    #[error("{}", .0.message)]
    Told(crate::told::Told),
    // --- Our bug.
    /// A form of our own that nobody would accept.
    #[error("this program made a form that is refused: {0}")]
    OwnForm(FormError),
    /// A task that did not end as it should.
    #[error("a task of this program failed: {what}")]
    Task {
        /// Which.
        what: String,
    },
}
