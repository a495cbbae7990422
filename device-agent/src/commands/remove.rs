//! `countersign devices remove`: who goes, whom they let in, and where their records end.

use std::io::IsTerminal as _;

use super::{Context, EXIT_CODES, confirm, show_outcome};
use crate::core::view::{AdmittedView, OutcomeView, RemovalView, short};
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::body::{RemovalAsked, RemovalOrdered};
use crate::told::Exit;
use crate::{clock, terminal, text};

/// Why devices are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Reason {
    /// Lost or stolen
    Lost,
    /// Not used any more
    Retired,
    /// Not to be trusted
    Distrusted,
}

impl Reason {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Retired => "retired",
            Self::Distrusted => "distrusted",
        }
    }
}

/// Remove devices: they are shut out at once, and the chain has new keys and a new sync code
///
/// Of each member that one of them admitted it must be said whether it goes too (--also) or stays (--keep); at a terminal it is asked.
/// At a terminal a word is asked for before it is done; without one it is done at once, as the names in the command say it all.
/// What a removed device wrote counts, up to the moment of its removal, or up to --from.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign devices remove phone --reason lost\n  \
    countersign devices remove laptop --keep phone --also tablet\n  \
    countersign devices remove laptop --from 12      (it is not trusted from entry 12 of the log on)\n  \
    countersign devices remove laptop --from 3f9c81  (nor from this record of it on)\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Names of devices, or prefixes of their ids
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Why [default: retired, or distrusted with --from]
    #[arg(long, value_enum)]
    reason: Option<Reason>,
    /// Remove this one too, which one of them admitted
    #[arg(long, value_name = "NAME")]
    also: Vec<String>,
    /// Keep this one, which one of them admitted
    #[arg(long, value_name = "NAME")]
    keep: Vec<String>,
    /// Trust them only up to here: the number of an entry of the log, or the version of a record
    #[arg(long, value_name = "RECORD|ENTRY")]
    from: Option<String>,
}

/// Removes.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let reason = args.reason.unwrap_or(if args.from.is_some() { Reason::Distrusted } else { Reason::Retired });
    let door = context.door(Session::NotNeeded).await?;
    let mut going: Vec<String> = args.names.iter().chain(&args.also).cloned().collect();
    let mut view = look(&door, &going, args.from.as_ref()).await?;
    let keep = named(&view.admitted, &args.keep)?;
    let open: Vec<AdmittedView> =
        view.admitted.iter().filter(|admitted| !keep.contains(&admitted.device)).cloned().collect();
    must_be_said(&open)?;
    let mut staying = keep;
    for admitted in open {
        match goes_too(context, &admitted).await? {
            Fate::Goes => going.push(admitted.device),
            Fate::Stays => staying.push(admitted.device),
        }
    }
    if view.devices.len() < going.len() {
        view = look(&door, &going, args.from.as_ref()).await?;
    }
    recap(context, &view, reason);
    confirm(context, "remove").await?;
    let devices = view.devices.into_iter().map(|device| device.device).collect();
    let order = RemovalOrdered { devices, keep: staying, reason: reason.name().to_owned(), from: args.from };
    let outcome: OutcomeView = door.post("/devices/remove", &order).await?;
    show_outcome(
        context,
        &outcome,
        "next: countersign code show   (a new device joins with the new words; the old ones are dead)",
    );
    Ok(Exit::Done)
}

async fn look(door: &Door, devices: &[String], from: Option<&String>) -> Result<RemovalView, AgentError> {
    door.post("/devices/removal", &RemovalAsked { devices: devices.to_vec(), from: from.cloned() }).await
}

/// The devices that `--keep` names.
fn named(admitted: &[AdmittedView], names: &[String]) -> Result<Vec<String>, AgentError> {
    let find = |name: &String| {
        let prefix = name.to_ascii_lowercase();
        let fits = |device: &&AdmittedView| device.name == *name || device.device.starts_with(&prefix);
        let found: Vec<&AdmittedView> = admitted.iter().filter(fits).collect();
        match found.as_slice() {
            [one] => Ok(one.device.clone()),
            [] => Err(AgentError::Usage {
                what: format!(
                    "--keep {}: none of the devices that go admitted it, so it stays anyway",
                    text::quote(name)
                ),
                hint: "leave it out".to_owned(),
            }),
            _ => Err(AgentError::AmbiguousDevice { name: text::quote(name) }),
        }
    };
    names.iter().map(find).collect()
}

/// What becomes of a member that a device admitted which is to go.
enum Fate {
    Goes,
    Stays,
}

/// Without a terminal nobody can be asked: the flags must have said it.
fn must_be_said(open: &[AdmittedView]) -> Result<(), AgentError> {
    if open.is_empty() || std::io::stdin().is_terminal() {
        return Ok(());
    }
    let say = |admitted: &AdmittedView| format!("{} (device {})", text::quote(&admitted.name), short(&admitted.device));
    let names: Vec<String> = open.iter().map(say).collect();
    let keep: Vec<String> = open.iter().map(|admitted| format!("--keep {}", short(&admitted.device))).collect();
    Err(AgentError::Usage {
        what: format!("admitted by a device that goes, and it is not said whether they go too: {}", names.join(", ")),
        hint: format!("the same with   {}   (or --also, for each that goes too)", keep.join(" ")),
    })
}

async fn goes_too(context: &Context, admitted: &AdmittedView) -> Result<Fate, AgentError> {
    let AdmittedView { device, name, by, seq, at, proposed } = admitted;
    let (name, by, device, at) = (text::quote(name), text::quote(by), short(device), clock::show(*at));
    let output = context.output;
    output.progress(&format!("{name} (device {device}) was admitted by {by} at entry {seq}, {at}."));
    if proposed == "remove" {
        output.progress("  That was after the place from which on it is distrusted: it should go too.");
    }
    loop {
        output.prompt(&format!("Type also to remove {name} too, keep to keep it: "));
        match terminal::read_line().await?.as_str().trim() {
            "also" => return Ok(Fate::Goes),
            "keep" => return Ok(Fate::Stays),
            "" => return Err(AgentError::Usage { what: "nothing was done".to_owned(), hint: String::new() }),
            _ => {}
        }
    }
}

fn recap(context: &Context, view: &RemovalView, reason: Reason) {
    let output = context.output;
    output.progress(&format!("To be removed ({}):", reason.name()));
    for device in &view.devices {
        let records = match device.records.saturating_sub(device.counted) {
            0 => format!("its {} records count", device.records),
            disputed => format!("{} of its {} records count, {disputed} are disputed", device.counted, device.records),
        };
        let name = text::quote(&device.name);
        output.progress(&format!("  {name} (device {}), {}; {records}", short(&device.device), device.role));
    }
    output.progress("They keep what they read. The others get new keys, and the sync code will be a new one.");
}
