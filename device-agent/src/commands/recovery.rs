//! `countersign recovery`: the device that lies on paper.

use std::path::PathBuf;

use clap::Subcommand;
use protocol::code::RecoveryCode;
use serde::Serialize;

use super::paper::Paper;
use super::{Context, EXIT_CODES, recover};
use crate::core::RecoveryView;
use crate::core::view::short;
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::recovery::{NewWords, Recovery};
use crate::terminal::{OnPaper, Sheet};
use crate::told::Exit;

/// The recovery device: 24 words on paper for the day on which no device is left
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign recovery new\n  \
    countersign recovery use --relay https://relay.example.org\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    New(NewArgs),
    Use(recover::Args),
}

/// Make new recovery words, in the place of those before
///
/// The words are shown once, and two of them are asked back; only then are they put in the place of the old ones, which are worth
/// nothing from then on. The chain has new keys afterwards. No device has to be added again, and the sync code goes on.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign recovery new\n  \
    countersign recovery new --recovery-file words.txt\n\n{EXIT_CODES}"))]
struct NewArgs {
    /// Write the words into this new file instead of showing them
    #[arg(long, value_name = "FILE")]
    recovery_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Renewed<'a> {
    recovery: &'a RecoveryView,
    words: &'static str,
}

/// Does one of them.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what {
        What::New(args) => new(context, args).await,
        What::Use(args) => recover::run(context, args).await,
    }
}

async fn new(context: &Context, args: NewArgs) -> Result<Exit, AgentError> {
    let paper = Paper::of(args.recovery_file, "countersign recovery new", "")?;
    paper.must_be_new()?;
    let door = context.door(Session::NotNeeded).await?;
    let (before, recovery) = renew(context, &door, &paper).await?;
    context.result("countersign.recovery/1", &Renewed { recovery: &recovery, words: paper.name() }, |output| {
        output.line(&format!("recovery device {}, since entry {} of the log", short(&recovery.device), recovery.seq));
        if before.is_some() {
            output.progress("The words from before are worth nothing now: destroy that paper.");
        }
    });
    paper.told(context);
    Ok(Exit::Done)
}

/// Makes new words, has them put on paper, and only then puts their device in the place of the one before.
/// Returns what was before, and what is.
pub(super) async fn renew(
    context: &Context,
    door: &Door,
    paper: &Paper,
) -> Result<(Option<RecoveryView>, RecoveryView), AgentError> {
    let before: Recovery = door.get("/recovery/check").await?;
    let code = RecoveryCode::draw(&mut rand_core::UnwrapErr(getrandom::SysRng));
    let sheet = Sheet { code: &code, fingerprint: &before.fingerprint };
    paper.write(&sheet)?;
    if paper.show(context, &sheet).await? == OnPaper::Unknown {
        return Err(AgentError::WordsUnused);
    }
    let now = door.post("/recovery/new", &NewWords { words: code.words() }).await.inspect_err(|_| {
        context
            .output
            .progress("Keep the old words and the new ones: 'countersign devices' says which recovery device holds.");
    })?;
    Ok((before.recovery, now))
}
