//! `countersign chain reset`: with the sync code alone, where no device of the chain is left.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use protocol::reset::Reset;
use protocol::signed::Verified;
use protocol::wire::ChainOfKey;
use protocol::{VERSION, id};
use serde::Serialize;

use super::join::read_code;
use super::{Context, EXIT_CODES, RelayArgs, Risks, confirm_beginning, seconds};
use crate::clock;
use crate::error::AgentError;
use crate::relay_client::RelayClient;
use crate::told::Exit;

/// With the sync code alone, have the relay delete a chain of which no device is left, after a wait
///
/// Nothing is kept on this machine. While the wait lasts, every device of the chain on which run runs is told, or somebody types status or,
/// within an hour, another command; and any approver can stop it.
/// Typed again it says what is left. How long the wait is stands in the chain's policy, by default 7 days.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign chain reset --relay https://relay.example.org\n  \
    countersign chain reset --relay https://relay.example.org --code-file words.txt \\\n    \
    --accept-risk=reset\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Address of the relay [default: the one that a QR code's line names]
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    /// Read the sync code from a file; - for standard input
    #[arg(long, value_name = "FILE|-")]
    code_file: Option<PathBuf>,
    /// Wait longer than the policy asks for. Another wait makes another reset, also after one was stopped
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    wait: Option<u32>,
    #[command(flatten)]
    how: RelayArgs<ResetRisk>,
}

/// A risk that is taken by naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ResetRisk {
    /// The whole chain is deleted at the relay.
    Reset,
    /// Speak unencrypted HTTP over a network.
    Plaintext,
}

impl Risks for ResetRisk {
    const PLAINTEXT: Self = Self::Plaintext;
}

#[derive(Serialize)]
struct Shown {
    state: &'static str,
    chain: String,
    fingerprint: String,
    /// Seconds.
    wait: u64,
    /// Milliseconds, by the relay's count.
    remaining: u64,
}

/// Announces, or says what is left.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let (code, named) = read_code(context, args.code_file.as_deref())?;
    let url = args.relay.clone().or(named).ok_or_else(|| AgentError::Usage {
        what: "the words do not say which relay to ask".to_owned(),
        hint: "countersign chain reset --relay URL".to_owned(),
    })?;
    let (endpoint, _) = args.how.endpoint(&url, context.source)?;
    let relay = RelayClient::new(endpoint);
    let key = code.join_key();
    let known = match relay.chain_of_key(&key).await {
        Ok(known) => known,
        Err(AgentError::WasReset { form }) => return done(context, &form, &key),
        Err(other) => return Err(other),
    };
    let wait = u64::from(args.wait.unwrap_or(known.reset_delay));
    announce(context, &known, wait);
    if !args.how.accepts(&ResetRisk::Reset) {
        if !std::io::stdin().is_terminal() {
            return Err(AgentError::Usage {
                what: "without a terminal nobody can be asked whether the whole chain is to be deleted".to_owned(),
                hint: "countersign chain reset --accept-risk=reset   (with the same options)".to_owned(),
            });
        }
        let beginning: String = id::fingerprint(known.chain.as_bytes()).chars().take(9).collect();
        confirm_beginning(context, &beginning).await?;
    }
    let form = Reset { version: VERSION, chain: known.chain, head: known.head, wait };
    let reset = Verified::sign(form, &key, &[]).map_err(AgentError::OwnForm)?;
    let standing = match relay.reset(&reset).await {
        Ok(standing) => standing,
        Err(AgentError::WasReset { form }) => return done(context, &form, &key),
        Err(other) => return Err(other),
    };
    let shown = Shown::of("announced", &reset, standing.remaining);
    context.result("countersign.reset/1", &shown, |output| {
        let (left, at) = (clock::span(shown.remaining), clock::show(clock::now().saturating_add(shown.remaining)));
        output.line(&format!("announced: the relay deletes the chain in {left}, {at}, unless a member stops it"));
        output.progress(
            "Every device of the chain that reaches the relay is told, and any approver can stop it: countersign chain veto",
        );
        output.progress("next: the same command again   (it says what is left, and when it is done)");
    });
    Ok(Exit::Done)
}

fn announce(context: &Context, known: &ChainOfKey, wait: u64) {
    let output = context.output;
    output.progress("The relay knows this sync code:");
    output.progress(&format!("  chain   {}", id::fingerprint(known.chain.as_bytes())));
    output.progress(&format!("  policy  of entry {} ({})", known.seq, known.head.short()));
    output.progress(&format!(
        "  wait    {}, in which any approver of the chain can stop it",
        clock::span(wait.saturating_mul(1000))
    ));
    output.progress("Then the relay deletes its log and every record, and serves neither again.");
}

/// The relay says that it is done, and shows what was signed.
fn done(context: &Context, form: &[u8], key: &protocol::keys::SigningKey) -> Result<Exit, AgentError> {
    let reset = Verified::<Reset>::from_bytes(form).map_err(AgentError::BadForm)?;
    if reset.join_key() != key.join_key() {
        return Err(AgentError::Lie { what: "the relay shows a reset that this sync code did not sign".to_owned() });
    }
    let shown = Shown::of("done", &reset, 0);
    context.result("countersign.reset/1", &shown, |output| {
        output.line(&format!("done: the relay says that it deleted the chain {}", shown.fingerprint));
        output.progress("next: countersign init --relay URL   (a new chain)");
    });
    Ok(Exit::Done)
}

impl Shown {
    fn of(state: &'static str, reset: &Verified<Reset>, remaining: u64) -> Self {
        let (chain, fingerprint) = (reset.chain.to_string(), id::fingerprint(reset.chain.as_bytes()));
        Self { state, chain, fingerprint, wait: reset.wait, remaining }
    }
}
