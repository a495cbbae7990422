//! `countersign record lost`: records that the relay lost, and in whose place others stand there.

use data_encoding::BASE64;
use serde::Serialize;

use super::{Context, EXIT_CODES};
use crate::clock;
use crate::core::view::LostView;
use crate::door::Session;
use crate::error::AgentError;
use crate::text::{self, visible};
use crate::told::Exit;

/// Records that this device had, that the relay lost, and in whose place others stand there
///
/// A relay that came back from an old backup, or another one to which some devices moved first, takes other records in their place. What
/// this device had is kept here until you have looked at it. Its own writes among them wait for you in 'record queue'. With --json the
/// values are shown too.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign record lost\n  countersign record lost --json\n  \
    countersign record lost --forget\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Forget all of them
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
struct Listed {
    records: Vec<Shown>,
}

/// A record for programs: text where it is text. Names and content are null where they do not open, the content of a delete too.
#[derive(Serialize)]
struct Shown {
    collection: Option<String>,
    id: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    kind: String,
    writer: String,
    at: u64,
    version: String,
}

impl From<LostView> for Shown {
    fn from(lost: LostView) -> Self {
        let bytes = lost.value.as_ref().and_then(|value| BASE64.decode(value.as_bytes()).ok());
        let value = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let value_base64 = if value.is_none() { lost.value } else { None };
        let LostView { collection, id, kind, writer, at, version, .. } = lost;
        Self { collection, id, value, value_base64, kind, writer, at, version }
    }
}

#[derive(Serialize)]
struct Forgotten {
    records: usize,
}

/// Lists what was lost, or forgets it.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    if args.forget {
        let records: usize = door.post("/records/lost/forget", &()).await?;
        context.result("countersign.records-forgotten/1", &Forgotten { records }, |output| {
            output.progress(&format!("forgotten: {records}"));
        });
        return Ok(Exit::Done);
    }
    let records: Vec<LostView> = door.get("/records/lost").await?;
    let listed = Listed { records: records.into_iter().map(Shown::from).collect() };
    context.result("countersign.records-lost/1", &listed, |output| {
        if listed.records.is_empty() {
            output.progress("nothing was lost");
        }
        for lost in &listed.records {
            output.line(&row(lost));
        }
    });
    Ok(Exit::Done)
}

fn row(lost: &Shown) -> String {
    let name = |name: &Option<String>| name.as_deref().map_or_else(|| "?".to_owned(), visible);
    let (collection, id) = (name(&lost.collection), name(&lost.id));
    format!("{}  {collection}/{id}  by {}  {}", lost.kind, text::quote(&lost.writer), clock::show(lost.at))
}
