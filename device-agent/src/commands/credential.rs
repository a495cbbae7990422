//! `countersign credential`: the log's proof for one device, for somebody outside the chain.

pub(super) mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use data_encoding::BASE64;
use serde::Serialize;

use super::new_file::NewFile;
use super::{Context, EXIT_CODES};
use crate::core::view::short;
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::{Credential, CredentialOf};
use crate::output::Format;
use crate::text;
use crate::told::{Exit, Told};

/// Show to somebody outside the chain that a device is a member, or check what was shown
///
/// A credential is the chain's whole log in one file, with the device that it is to bear out. Whoever gets it checks it without asking
/// anybody: which device, admitted by whom, in which role, up to which entry. docs/credential.md is for developers of servers.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign credential export > laptop.credential\n  \
    countersign credential verify laptop.credential\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) what: What,
}

#[derive(Subcommand)]
pub(super) enum What {
    /// Write out the credential of this device, or of another
    ///
    /// It is no secret and no password: who copies it has not the device's key. It shows which devices the chain has and had, by their
    /// keys, and when they came and went; their names are sealed. Without a connection it is made of the log that this device has.
    #[command(after_help = format!("Examples:\n  countersign credential export > laptop.credential\n  \
        countersign credential export phone phone.credential\n\n{EXIT_CODES}"))]
    Export(ExportArgs),
    Verify(verify::Args),
}

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    /// Name of a device, or the beginning of its id; - or none for this device
    #[arg(value_name = "DEVICE")]
    device: Option<String>,
    /// A file that does not exist yet; - or none for standard output
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Exported<'a> {
    device: &'a str,
    chain: &'a str,
    head: &'a str,
    seq: u64,
    bytes: usize,
    /// Where it is.
    file: Option<String>,
    /// Base64 of it, if it went to no file.
    credential: Option<&'a str>,
}

/// Exports or verifies.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what {
        What::Export(args) => export(context, args).await,
        What::Verify(args) => verify::run(&args, context.output),
    }
}

/// One word is a device, never a file: they are told apart by their place.
fn hinted(error: AgentError, named: Option<&str>) -> AgentError {
    match (error, named) {
        (AgentError::Told(told), Some(named)) if told.code == "not-found" => {
            let named = text::clean(named);
            let is_file = named.contains(['.', '/']);
            let message = if is_file {
                format!("{}; one word alone is a device, not a file", told.message)
            } else {
                told.message
            };
            let hint = match is_file {
                true => format!("countersign credential export - {named}   (this device's, into that file)"),
                false => {
                    "countersign devices list   (or countersign credential export - FILE, for this device's)".to_owned()
                }
            };
            AgentError::Told(Told { hint: Some(hint), message, ..told })
        }
        (error, _) => error,
    }
}

async fn export(context: &Context, args: ExportArgs) -> Result<Exit, AgentError> {
    let output = context.output;
    let device = args.device.filter(|device| device != "-");
    let file = args.file.filter(|file| file.as_os_str() != "-");
    if file.is_none() && output.format() == Format::Text && output.is_on_terminal() {
        return Err(AgentError::Usage {
            what: "a credential is bytes, and this is a terminal".to_owned(),
            hint: "countersign credential export > FILE   (or: countersign credential export DEVICE FILE)".to_owned(),
        });
    }
    // Before anything is read.
    let command = "countersign credential export DEVICE FILE";
    let new = file.as_deref().map(|file| NewFile::begin(file, command)).transpose()?;
    let of = CredentialOf { device };
    let door = context.door(Session::NotNeeded).await?;
    let made = door.post("/credential", &of).await;
    let made: Credential = made.map_err(|error| hinted(error, of.device.as_deref().filter(|_| file.is_none())))?;
    let broken = |_| AgentError::Daemon { what: "a credential is not base64".to_owned() };
    let bytes = BASE64.decode(made.credential.as_bytes()).map_err(broken)?;
    if let Some(why) = &made.not_caught_up {
        output.progress(&format!("made of the log that this device has, up to entry {}: {why}", made.seq));
    }
    let exported = Exported {
        device: &made.device,
        chain: &made.chain,
        head: &made.head,
        seq: made.seq,
        bytes: bytes.len(),
        file: file.as_ref().map(|file| file.display().to_string()),
        credential: file.is_none().then_some(made.credential.as_str()),
    };
    match new {
        Some(mut new) => {
            new.write(&bytes)?;
            new.finish()?;
        }
        None if output.format() == Format::Text => {
            output.stream(&bytes).map_err(AgentError::Terminal)?;
        }
        None => {}
    }
    context.result("countersign.credential-export/1", &exported, |output| {
        if let Some(file) = &exported.file {
            let (device, seq, bytes) = (short(&made.device), made.seq, exported.bytes);
            output.progress(&format!("device {device} as a member up to entry {seq}: {bytes} bytes in {file}"));
        }
    });
    Ok(Exit::Done)
}
