//! `countersign init`: founds a chain with this device as its first member.

use std::path::PathBuf;

use protocol::DeviceId;
use protocol::code::RecoveryCode;
use protocol::entry::{Body, Entry, found};
use protocol::keys::DeviceKeys;
use protocol::limits::REQUEST_LIFETIME_RANGE;
use protocol::policy::Policy;
use protocol::signed::Verified;
use serde::Serialize;

use super::paper::{self, Paper};
use super::{Context, EXIT_CODES, RelayArgs, description, recovery, seconds};
use crate::clock;
use crate::door::{Door, agent_of};
use crate::error::AgentError;
use crate::keyfile::{Secrets, Standing};
use crate::local::Place;
use crate::recovery::is_under_way;
use crate::relay_client::RelayClient;
use crate::store::{Setting, Store};
use crate::terminal::{OnPaper, Sheet};
use crate::told::Exit;

/// Found a chain with this device as its first member
///
/// It also makes a recovery device: 24 words that are shown once, and kept nowhere, with which a new device can take up the chain when no
/// device is left. Two of them are asked back. Without a terminal they go into a file (--recovery-file).
///
/// Nothing is drawn or kept before the relay has answered at an address that it knows itself by. An init that was cut off after that goes
/// on with the same chain when init is typed again, at the address that is given then.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign init --relay https://relay.example.org --name laptop\n  \
    countersign init --relay https://relay.example.org --recovery-file words.txt\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Address of the relay
    #[arg(long, value_name = "URL")]
    relay: String,
    /// Name of this device, sealed for the members [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// How long a join request stays open, from 1s to 24h
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = lifetime)]
    request_lifetime: u32,
    /// Write the recovery words into this new file instead of showing them
    #[arg(long, value_name = "FILE", conflicts_with = "no_recovery")]
    recovery_file: Option<PathBuf>,
    /// Make no recovery device: a chain that loses all its devices is lost
    #[arg(long)]
    no_recovery: bool,
    #[command(flatten)]
    how: RelayArgs,
}

#[derive(Serialize)]
struct Founded {
    chain: String,
    fingerprint: String,
    device: String,
    relay: String,
    /// Where the recovery words went: `shown`, `file`, `none`; `elsewhere` if an earlier try had them put somewhere.
    recovery: &'static str,
}

/// What is still to be done for the recovery device once the chain is founded.
#[must_use = "words that nobody has are worse than none"]
enum Owed {
    /// Nothing: the words are in a file.
    Nothing,
    /// None is wanted, and there is none.
    Refused,
    /// None is wanted now, and the chain that was drawn before has one: its words are where the first try put them.
    Elsewhere(DeviceId),
    /// These words are to be shown.
    Show(RecoveryCode),
    /// The words were drawn by a process that ended, or none were: others are to be made.
    Renew,
}

/// Founds, or goes on with a founding that the relay never acknowledged.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let command = "countersign init --relay URL";
    let instead = "   or   --no-recovery   (a chain that loses all its devices is then lost)";
    let wanted = if args.no_recovery { None } else { Some(Paper::of(args.recovery_file.clone(), command, instead)?) };
    let home = &context.home;
    let (endpoint, ca) = args.how.endpoint(&args.relay, context.source)?;
    home.create()?;
    let _lock = home.lock().await?;
    let mut store = Store::open(&home.store_file())?;
    let unfinished = unfinished(context, &store)?;
    if let (None, Some(paper)) = (&unfinished, &wanted) {
        paper.must_be_new()?;
    }
    let relay = RelayClient::new(endpoint);
    // Before anything is drawn, or kept of this address: there is nothing to take back when the person types another one.
    relay.check_address().await?;
    let (entry, owed) = match unfinished {
        Some(entry) => {
            going_on(context, &entry);
            let owed = still_owed(&entry, wanted.as_ref())?;
            (entry, owed)
        }
        None => draw(context, &store, &args, wanted.as_ref())?,
    };
    store.keep_relay(relay.endpoint().origin(), ca.as_deref())?;
    relay.found(entry.bytes()).await?;
    store.pin(std::slice::from_ref(&entry))?;
    let chain = entry.hash();
    let founded = Founded {
        chain: chain.to_string(),
        fingerprint: protocol::id::fingerprint(chain.as_bytes()),
        device: entry.signer().to_string(),
        relay: relay.endpoint().origin().to_owned(),
        recovery: match &owed {
            Owed::Elsewhere(_) => "elsewhere",
            _ => wanted.as_ref().map_or("none", Paper::name),
        },
    };
    context.result("countersign.init/1", &founded, |output| {
        output.line(&format!("founded chain {}", founded.fingerprint));
    });
    settle(context, &store, (wanted.as_ref(), owed), &founded.fingerprint).await?;
    context.output.progress("next: countersign run          (keep it running: it receives requests)");
    context.output.progress("      countersign code show    (the words for the next device)");
    Ok(Exit::Done)
}

/// Sees to it that the recovery words of a chain that is founded are somewhere, or says that there are none.
async fn settle(
    context: &Context,
    store: &Store,
    (wanted, owed): (Option<&Paper>, Owed),
    fingerprint: &str,
) -> Result<(), AgentError> {
    let Some(paper) = wanted else {
        let told = match owed {
            Owed::Elsewhere(device) => format!(
                "The chain that was drawn has recovery device {}: its words are where the first try put them, and they hold.",
                device.short()
            ),
            _ => "There is no recovery device: when the last device is lost, so is the chain.".to_owned(),
        };
        context.output.progress(&told);
        context.output.progress("next: countersign recovery new (makes new words)");
        return Ok(());
    };
    match owed {
        Owed::Nothing | Owed::Refused | Owed::Elsewhere(_) => {}
        Owed::Show(code) => {
            if paper.show(context, &Sheet { code: &code, fingerprint }).await? == OnPaper::Unknown {
                return Err(AgentError::WordsUntyped);
            }
            store.unset(Setting::WordsUntyped)?;
        }
        Owed::Renew => {
            context.output.progress("The recovery words of the first try are nowhere: others are made in their place.");
            let door = Door::within(&agent_of(&context.home, context.source)?, Place::Command);
            recovery::renew(context, &door, paper).await?;
        }
    }
    paper.told(context);
    Ok(())
}

/// What a founding that goes on still owes: the words of its recovery device are in the file that is named, or nowhere.
fn still_owed(entry: &Verified<Entry>, wanted: Option<&Paper>) -> Result<Owed, AgentError> {
    let device = match &entry.body {
        Body::Found(found) => found.recovery.as_ref().map(|recovery| recovery.device.signing),
        _ => None,
    };
    match (wanted, device) {
        (None, None) => Ok(Owed::Refused),
        (None, Some(device)) => Ok(Owed::Elsewhere(device)),
        (Some(Paper::File(file)), Some(device)) if paper::holds(file, &device) => Ok(Owed::Nothing),
        (Some(paper), _) => paper.must_be_new().map(|()| Owed::Renew),
    }
}

/// The founding entry that was drawn here but never acknowledged. A home that is in use otherwise is refused.
fn unfinished(context: &Context, store: &Store) -> Result<Option<Verified<Entry>>, AgentError> {
    let in_use = || AgentError::HomeInUse { home: context.home.dir().to_owned() };
    let Some(secrets) = Secrets::read(&context.home)? else {
        return Ok(None);
    };
    match secrets.standing {
        Standing::Member(_) if is_under_way(store)? => Err(AgentError::Unrecovered),
        Standing::Joiner(_) if store.joining()?.is_some() => Err(AgentError::Usage {
            what: "a join is under way in this state directory".to_owned(),
            hint: "countersign join   (and Ctrl-C, to withdraw the request)".to_owned(),
        }),
        Standing::Joiner(_) => Ok(None),
        Standing::Member(_) if !store.log()?.is_empty() => Err(in_use()),
        Standing::Member(_) => match store.setting(Setting::Founding)? {
            Some(bytes) => Verified::from_bytes(&bytes)
                .map(Some)
                .map_err(|_| AgentError::Damaged { what: "the founding entry does not verify" }),
            // The keys were written, and the process ended before the entry was: nobody knows these keys.
            None => Ok(None),
        },
    }
}

/// Says what a founding that goes on keeps, and what of this command counts.
fn going_on(context: &Context, entry: &Verified<Entry>) {
    let lifetime = match &entry.body {
        Body::Found(found) => found.policy.request_lifetime,
        _ => 0,
    };
    let dir = context.home.dir().display();
    for line in [
        "going on with the chain that was drawn here before; the address of the relay is the one given now".to_owned(),
        format!(
            "  its device name stays, and requests stay open for {lifetime}s: --name and --request-lifetime do not count"
        ),
        format!("  to start over instead: rm -r {dir}   then init"),
    ] {
        context.output.progress(&line);
    }
}

/// Draws everything and keeps it, the recovery words first, then the keys, before the relay hears of it.
fn draw(
    context: &Context,
    store: &Store,
    args: &Args,
    wanted: Option<&Paper>,
) -> Result<(Verified<Entry>, Owed), AgentError> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let keys = DeviceKeys::draw(&mut rng);
    let policy = Policy { request_lifetime: args.request_lifetime, ..Policy::default() };
    let code = wanted.map(|_| RecoveryCode::draw(&mut rng));
    let recovery = code.as_ref().map(RecoveryCode::keys);
    let about = description(args.name.as_deref());
    let founding =
        found(&keys, &about, policy, recovery.as_ref(), clock::now(), &mut rng).map_err(AgentError::OwnForm)?;
    let owed = match (wanted, code) {
        (Some(paper @ Paper::File(_)), Some(code)) => {
            let fingerprint = protocol::id::fingerprint(founding.entry.hash().as_bytes());
            paper.write(&Sheet { code: &code, fingerprint: &fingerprint })?;
            Owed::Nothing
        }
        (Some(Paper::Person), Some(code)) => {
            store.set(Setting::WordsUntyped, code.keys().id().as_bytes())?;
            Owed::Show(code)
        }
        _ => Owed::Refused,
    };
    Secrets { keys, standing: Standing::Member(founding.epoch_key) }.write(&context.home)?;
    store.set(Setting::Founding, founding.entry.bytes())?;
    Ok((founding.entry, owed))
}

fn lifetime(text: &str) -> Result<u32, String> {
    let total = seconds(text)?;
    let (shortest, longest) = REQUEST_LIFETIME_RANGE;
    let within = (shortest..=longest).contains(&std::time::Duration::from_secs(u64::from(total)));
    if within { Ok(total) } else { Err("a request stays open for 1s to 24h".to_owned()) }
}
