//! `countersign init`: founds a chain with this device as its first member.

use protocol::entry::{Body, Entry, found};
use protocol::keys::DeviceKeys;
use protocol::limits::REQUEST_LIFETIME_RANGE;
use protocol::policy::Policy;
use protocol::signed::Verified;
use serde::Serialize;

use super::{Context, EXIT_CODES, RelayArgs, description, seconds};
use crate::clock;
use crate::error::AgentError;
use crate::keyfile::{Secrets, Standing};
use crate::relay_client::RelayClient;
use crate::store::{Setting, Store};
use crate::told::Exit;

/// Found a chain with this device as its first member
///
/// Nothing is drawn or kept before the relay has answered at an address that it knows itself by. An init that was cut off after that goes
/// on with the same chain when init is typed again, at the address that is given then.
#[derive(clap::Args)]
#[command(after_help = format!("Example:\n  countersign init --relay https://relay.example.org --name laptop\n\n{EXIT_CODES}"))]
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
    #[command(flatten)]
    how: RelayArgs,
}

#[derive(Serialize)]
struct Founded {
    chain: String,
    fingerprint: String,
    device: String,
    relay: String,
}

/// Founds, or goes on with a founding that the relay never acknowledged.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let home = &context.home;
    let (endpoint, ca) = args.how.endpoint(&args.relay, context.source)?;
    home.create()?;
    let _lock = home.lock().await?;
    let mut store = Store::open(&home.store_file())?;
    let unfinished = unfinished(context, &store)?;
    let relay = RelayClient::new(endpoint);
    // Before anything is drawn, or kept of this address: there is nothing to take back when the person types another one.
    relay.check_address().await?;
    let entry = match unfinished {
        Some(entry) => {
            going_on(context, &entry);
            entry
        }
        None => draw(context, &store, &args)?,
    };
    store.set(Setting::Relay, relay.endpoint().origin().as_bytes())?;
    match &ca {
        Some(ca) => store.set(Setting::RelayCa, ca)?,
        None => store.unset(Setting::RelayCa)?,
    }
    relay.found(entry.bytes()).await?;
    store.pin(std::slice::from_ref(&entry))?;
    let chain = entry.hash();
    let founded = Founded {
        chain: chain.to_string(),
        fingerprint: protocol::id::fingerprint(chain.as_bytes()),
        device: entry.signer().to_string(),
        relay: relay.endpoint().origin().to_owned(),
    };
    context.result("countersign.init/1", &founded, |output| {
        output.line(&format!("founded chain {}", founded.fingerprint));
        output.progress("next: countersign run          (keep it running: it receives requests)");
        output.progress("      countersign code show    (the words for the next device)");
    });
    Ok(Exit::Done)
}

/// The founding entry that was drawn here but never acknowledged. A home that is in use otherwise is refused.
fn unfinished(context: &Context, store: &Store) -> Result<Option<Verified<Entry>>, AgentError> {
    let in_use = || AgentError::HomeInUse { home: context.home.dir().to_owned() };
    let Some(secrets) = Secrets::read(&context.home)? else {
        return Ok(None);
    };
    match secrets.standing {
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

/// Draws everything and keeps it, the secrets first, before the relay hears of it.
fn draw(context: &Context, store: &Store, args: &Args) -> Result<Verified<Entry>, AgentError> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let keys = DeviceKeys::draw(&mut rng);
    let policy = Policy { request_lifetime: args.request_lifetime, ..Policy::default() };
    let founding = found(&keys, &description(args.name.as_deref()), policy, None, clock::now(), &mut rng)
        .map_err(AgentError::OwnForm)?;
    Secrets { keys, standing: Standing::Member(founding.epoch_key) }.write(&context.home)?;
    store.set(Setting::Founding, founding.entry.bytes())?;
    Ok(founding.entry)
}

fn lifetime(text: &str) -> Result<u32, String> {
    let total = seconds(text)?;
    let (shortest, longest) = REQUEST_LIFETIME_RANGE;
    let within = (shortest..=longest).contains(&std::time::Duration::from_secs(u64::from(total)));
    if within { Ok(total) } else { Err("a request stays open for 1s to 24h".to_owned()) }
}
