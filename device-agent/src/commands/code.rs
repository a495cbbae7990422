//! `countersign code`: the sync code.

use clap::Subcommand;
use serde::Serialize;

use super::{Context, EXIT_CODES};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::Code;
use crate::told::Exit;

/// Show the sync code that a new device joins with
#[derive(clap::Args)]
#[command(after_help = format!("Example:\n  countersign code show\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the 24 words. They let a device ask, and nothing more
    #[command(after_help = format!("Example:\n  countersign code show\n\n{EXIT_CODES}"))]
    Show,
}

#[derive(Serialize)]
struct Shown<'a> {
    words: &'a str,
    relay: &'a str,
}

/// Shows.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let What::Show = args.what;
    let code: Code = context.door(Session::NotNeeded).await?.get("/code").await?;
    context.result("countersign.code/1", &Shown { words: &code.words, relay: &code.relay }, |output| {
        output.line(&code.words);
        output.progress(&format!("next: countersign join --relay {}   (on the new device)", code.relay));
    });
    Ok(Exit::Done)
}
