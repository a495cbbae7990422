//! `countersign recovery use`: takes up a chain with nothing but its recovery words.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use protocol::DeviceId;
use protocol::code::RecoveryCode;
use serde::Serialize;
use zeroize::Zeroizing;

use super::paper::{self, Paper};
use super::{Context, EXIT_CODES, RelayArgs, description, hidden, read_file, read_stdin};
use crate::clock;
use crate::dial::{Endpoint, Plaintext};
use crate::door::agent_of;
use crate::error::AgentError;
use crate::exit;
use crate::keyfile::{Secrets, Standing};
use crate::recovery::{DeviceRow, Known, Landing, Opened, Order, Taken, is_under_way};
use crate::relay_client::RelayClient;
use crate::store::{Setting, Store};
use crate::terminal::{self, OnPaper, Sheet};
use crate::text;
use crate::told::{Exit, Told};

/// Take up a chain on this machine with its recovery words, when no device is left
///
/// This machine becomes a device of the chain. It is asked which devices are to be removed: they are shut out at once, and the sync code is a
/// new one. The words are worth nothing afterwards: new ones are shown, and two of them are asked back.
///
/// The log that the relay shows is verified, but an old one is valid too: before anything is done, head, date and devices are shown, and
/// it is asked whether these are the last known ones.
///
/// If it is cut off, the same command goes on where it was.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign recovery use --relay https://relay.example.org\n  \
    countersign recovery use --relay https://relay.example.org --words-file words.txt --remove phone \\\n    \
    --accept-log 3f9c81ab --recovery-file new-words.txt\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Address of the relay
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    /// File with the recovery words; - for standard input
    #[arg(long, value_name = "FILE|-")]
    words_file: Option<PathBuf>,
    /// Name of this device, sealed for the members [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// Remove this device, by its name or a prefix of its id; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "keep_all")]
    remove: Vec<String>,
    /// Remove no device
    #[arg(long)]
    keep_all: bool,
    /// The log that ends with this entry is the last one known: at least eight digits of its head
    #[arg(long, value_name = "HEAD")]
    accept_log: Option<String>,
    /// Write the new recovery words into this new file instead of showing them
    #[arg(long, value_name = "FILE")]
    recovery_file: Option<PathBuf>,
    #[command(flatten)]
    how: RelayArgs,
    /// Recovery words are never an argument
    #[arg(hide = true, value_name = "WORDS")]
    words: Vec<String>,
}

#[derive(Serialize)]
struct Recovered {
    chain: String,
    fingerprint: String,
    device: String,
    head: String,
    seq: u64,
    devices: usize,
    /// Where the new recovery words went: `shown`, `file`; nothing where an earlier try had them put there.
    words: Option<&'static str>,
}

/// What was found: verified, but perhaps not the latest.
#[derive(Serialize)]
struct Found<'a> {
    chain: String,
    fingerprint: String,
    founded_at: u64,
    head: String,
    seq: u64,
    epoch: u64,
    /// Claimed by the signer of the last entry.
    signed_at: u64,
    devices: Vec<FoundDevice>,
    /// What is missing to go on, as every failure is told.
    #[serde(flatten)]
    told: &'a Told,
}

#[derive(Serialize)]
struct FoundDevice {
    device: String,
    /// Claimed by it.
    name: String,
    role: &'static str,
    admitted_at: u64,
}

/// Recovers, or goes on with a recovery that was cut off.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    if !args.words.is_empty() {
        return Err(AgentError::Usage {
            what: "recovery words are never an argument: other users of this machine can read those".to_owned(),
            hint: "countersign recovery use --relay URL   (and type them when asked, or --words-file FILE, or --words-file -)"
                .to_owned(),
        });
    }
    let home = &context.home;
    if home.dir().is_dir() {
        let _lock = home.lock().await?;
        let mut store = Store::open(&home.store_file())?;
        if is_under_way(&store)? {
            let (relay, ca) = relay_of(context, &store, &args)?;
            context.output.progress("going on with the recovery that was begun here");
            if let Some(taken) = (Landing { home, store: &mut store, relay: &relay }).go_on().await? {
                store.keep_relay(relay.endpoint().origin(), ca.as_deref())?;
                drop(store);
                return done(context, &taken, None).await;
            }
            // What the relay says of a batch that it once took without an answer may be wrong.
            context.output.progress("it can go on no more: it begins anew, with the words from before that try.");
            context
                .output
                .progress("Keep the new words of that try as well, until this is done: if it landed after all, they are the ones that hold.");
        }
        must_be_unused(context, &store)?;
    }
    begin(context, &args).await
}

/// Everything that must be known before the relay is asked, or a person types 24 words.
async fn begin(context: &Context, args: &Args) -> Result<Exit, AgentError> {
    let paper = Paper::of(args.recovery_file.clone(), "countersign recovery use --relay URL", "")?;
    paper.must_be_new()?;
    let url = args.relay.as_ref().ok_or_else(|| AgentError::Usage {
        what: "the words do not say which relay to ask".to_owned(),
        hint: "countersign recovery use --relay URL".to_owned(),
    })?;
    let (endpoint, ca) = args.how.endpoint(url, context.source)?;
    let code = read_words(context, args.words_file.as_deref())?;
    let relay = RelayClient::new(endpoint);
    relay.check_address().await?;
    let opened = Opened::find(&relay, code.keys()).await?;
    drop(code);
    show(context, &opened);
    if let Some(missing) = unsaid(&opened, args).filter(|_| !is_asked()) {
        return looked(context, &opened, &missing);
    }
    accept(context, &opened, args.accept_log.as_deref()).await?;
    let remove = choose(context, &opened, args).await?;
    let next = RecoveryCode::draw(&mut rand_core::UnwrapErr(getrandom::SysRng));
    let sheet = Sheet { code: &next, fingerprint: &fingerprint(&opened) };
    paper.write(&sheet)?;
    if paper.show(context, &sheet).await? == OnPaper::Unknown {
        return Err(AgentError::WordsUnused);
    }
    let home = &context.home;
    home.create()?;
    let _lock = home.lock().await?;
    let mut store = Store::open(&home.store_file())?;
    must_be_unused(context, &store)?;
    store.keep_relay(relay.endpoint().origin(), ca.as_deref())?;
    let order = Order { remove, next, about: description(args.name.as_deref()) };
    let taken = Landing { home, store: &mut store, relay: &relay }.take_up(opened, &order).await.inspect_err(|_| {
        context
            .output
            .progress("Keep the old words and the new ones until this command has said that the chain is recovered.");
    })?;
    drop(store);
    done(context, &taken, Some(&paper)).await
}

/// Whether a person can be asked.
fn is_asked() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Refuses a state directory that is a device's, or will be.
fn must_be_unused(context: &Context, store: &Store) -> Result<(), AgentError> {
    let in_use = || AgentError::HomeInUse { home: context.home.dir().to_owned() };
    match Secrets::read(&context.home)?.map(|secrets| secrets.standing) {
        Some(Standing::Joiner(_)) if store.joining()?.is_some() => Err(in_use()),
        Some(Standing::Member(_)) if !store.log()?.is_empty() => Err(in_use()),
        Some(Standing::Member(_)) if store.setting(Setting::Founding)?.is_some() => Err(in_use()),
        _ => Ok(()),
    }
}

/// The relay of a recovery that was begun, at the address that is given now or was given then.
fn relay_of(context: &Context, store: &Store, args: &Args) -> Result<(RelayClient, Option<Vec<u8>>), AgentError> {
    if let Some(url) = &args.relay {
        let (endpoint, ca) = args.how.endpoint(url, context.source)?;
        return Ok((RelayClient::new(endpoint), ca));
    }
    let url = store.text_setting(Setting::Relay)?.ok_or(AgentError::Damaged { what: "it names no relay" })?;
    let ca = store.setting(Setting::RelayCa)?;
    // Whether plain text over a network is accepted was asked when the address was first given.
    let endpoint = Endpoint::parse(&url, ca.as_deref(), context.source, Plaintext::Accepted)?;
    Ok((RelayClient::new(endpoint), ca))
}

fn fingerprint(opened: &Opened) -> String {
    protocol::id::fingerprint(opened.roster.chain().as_bytes())
}

/// Shows what was found: all of it verified, but nothing of it says that it is the latest.
fn show(context: &Context, opened: &Opened) {
    let output = context.output;
    let roster = &opened.roster;
    output.progress(&format!(
        "verified    chain {}, founded {}",
        fingerprint(opened),
        clock::show(roster.founded_at())
    ));
    output.progress(&format!(
        "verified    head {} at entry {}, epoch {}; signed {}, by its signer's clock",
        roster.head().short(),
        roster.seq(),
        roster.epoch(),
        clock::show(opened.last_at())
    ));
    for DeviceRow { device, name, role, at } in opened.devices() {
        let name = text::quote(&name);
        output.progress(&format!(
            "verified    device {}  {name} (claimed by it), {role}, since {}",
            device.short(),
            clock::show(at)
        ));
    }
    output.progress("not known   whether this is the latest: a relay that lies can show an old log, with devices that were removed since");
}

fn accept_option(opened: &Opened) -> String {
    let head = opened.roster.head().short();
    format!("--accept-log {head}   (if these are the last devices and the last entry that you know of)")
}

/// What the arguments leave open, which a person at a terminal would be asked.
fn unsaid(opened: &Opened, args: &Args) -> Option<AgentError> {
    let choice = "--remove NAME   for each device that goes, or   --keep-all";
    let accepted = args.accept_log.is_some();
    let chosen = args.keep_all || !args.remove.is_empty();
    let (what, with) = match (accepted, chosen) {
        (true, true) => return None,
        (false, true) => ("whether this is the latest log", accept_option(opened)),
        (true, false) => ("which devices are to be removed", choice.to_owned()),
        (false, false) => (
            "which devices are to be removed, and whether this is the latest log",
            format!("{choice},   and with   {}", accept_option(opened)),
        ),
    };
    Some(AgentError::Usage {
        what: format!("there is no terminal to ask {what}"),
        hint: format!("the same with   {with}"),
    })
}

/// Ends after looking, without a terminal: what was found, and what is missing, in one object for programs.
fn looked(context: &Context, opened: &Opened, missing: &AgentError) -> Result<Exit, AgentError> {
    let roster = &opened.roster;
    let told = exit::tell(missing);
    let row = |DeviceRow { device, name, role, at }: DeviceRow| FoundDevice {
        device: device.to_string(),
        name,
        role,
        admitted_at: at,
    };
    let found = Found {
        chain: roster.chain().to_string(),
        fingerprint: fingerprint(opened),
        founded_at: roster.founded_at(),
        head: roster.head().to_string(),
        seq: roster.seq(),
        epoch: roster.epoch(),
        signed_at: opened.last_at(),
        devices: opened.devices().into_iter().map(row).collect(),
        told: &told,
    };
    context.result("countersign.recovery-found/1", &found, |_| {});
    context.output.failure_told(&told);
    Ok(told.exit)
}

/// Asks whether the log is the last one known, or compares it with the one that is named.
async fn accept(context: &Context, opened: &Opened, named: Option<&str>) -> Result<(), AgentError> {
    let (head, seq) = (opened.roster.head(), opened.roster.seq());
    let name_it = format!("the same with   {}", accept_option(opened));
    let Some(named) = named else {
        context.output.prompt("Are these the last devices and the last entry that you know of? Type yes to go on: ");
        if terminal::read_line().await?.trim() == "yes" {
            return Ok(());
        }
        return Err(AgentError::Usage {
            what: "nothing was done".to_owned(),
            hint: "countersign recovery use --relay URL   (with another relay, if one has a later log)".to_owned(),
        });
    };
    match opened.knows(named) {
        Some(Known::Last) => Ok(()),
        Some(Known::Earlier) => Err(AgentError::Usage {
            what: format!("the log went on after {}: it ends with {} at entry {seq}", text::quote(named), head.short()),
            hint: name_it,
        }),
        Some(Known::Missing) => Err(AgentError::LogWithout { named: text::quote(named) }),
        None => Err(AgentError::Usage {
            what: "--accept-log takes the head of a log: 8 to 64 hexadecimal digits".to_owned(),
            hint: name_it,
        }),
    }
}

/// Which devices go: named in the arguments, or asked one by one.
async fn choose(context: &Context, opened: &Opened, args: &Args) -> Result<Vec<DeviceId>, AgentError> {
    if args.keep_all {
        return Ok(Vec::new());
    }
    if !args.remove.is_empty() {
        return args.remove.iter().map(|name| opened.device_called(name)).collect();
    }
    let output = context.output;
    output.progress(
        "Which of them are lost, or not trusted any more? They are shut out at once, and keep what they read.",
    );
    let mut gone = Vec::new();
    for DeviceRow { device, name, .. } in opened.devices() {
        loop {
            output.prompt(&format!("{} (device {}): type remove or keep: ", text::quote(&name), device.short()));
            match terminal::read_line().await?.as_str().trim() {
                "remove" => gone.push(device),
                "keep" => {}
                "" => return Err(AgentError::Usage { what: "nothing was done".to_owned(), hint: String::new() }),
                _ => continue,
            }
            break;
        }
    }
    Ok(gone)
}

/// Reads the records, and says what is so now.
async fn done(context: &Context, taken: &Taken, paper: Option<&Paper>) -> Result<Exit, AgentError> {
    let roster = &taken.roster;
    if let Err(error) = agent_of(&context.home, context.source)?.catch_up().await {
        tracing::warn!("the records could not be read yet: {error}");
    }
    let recovered = Recovered {
        chain: roster.chain().to_string(),
        fingerprint: protocol::id::fingerprint(roster.chain().as_bytes()),
        device: taken.keys.id().to_string(),
        head: roster.head().to_string(),
        seq: roster.seq(),
        devices: roster.people_count(),
        words: paper.map(Paper::name),
    };
    context.result("countersign.recovered/1", &recovered, |output| {
        output.line(&format!("recovered chain {}", recovered.fingerprint));
        output.progress(&format!(
            "  this machine is a device of it; {} devices; entry {}",
            recovered.devices, recovered.seq
        ));
        output.progress("The recovery words that you typed are worth nothing now: destroy that paper.");
    });
    match paper {
        Some(paper) => paper.told(context),
        None => context.output.progress("The new ones are those that were shown, or written, when it was begun."),
    }
    context.output.progress("next: countersign devices list   (is everybody there who should be, and nobody else?)");
    context.output.progress("      countersign run            (keep it running: it receives requests)");
    Ok(Exit::Done)
}

/// Reads recovery words: from a file, from standard input (`-`), or from a person who sees nothing of what she types.
fn read_words(context: &Context, file: Option<&Path>) -> Result<RecoveryCode, AgentError> {
    let bytes = match file {
        Some(path) if path.as_os_str() == "-" => Zeroizing::new(read_stdin()?),
        Some(path) => Zeroizing::new(read_file(path)?),
        None if std::io::stdin().is_terminal() => {
            context.output.progress(
                "The recovery words are the latest that were put on paper for this chain; not those of the sync code.",
            );
            let typed = hidden::ask("Recovery words (24, not shown while you type): ")?;
            Zeroizing::new(typed.as_bytes().to_vec())
        }
        None => {
            return Err(AgentError::Usage {
                what: "there is no terminal to ask for the recovery words".to_owned(),
                hint: "countersign recovery use --relay URL --words-file FILE   (or --words-file - for standard input)"
                    .to_owned(),
            });
        }
    };
    paper::parse(&bytes)
}
