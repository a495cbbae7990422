//! `countersign record queue`: own writes that the relay has not acknowledged.

use clap::Subcommand;
use data_encoding::BASE64;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Context, EXIT_CODES};
use crate::clock;
use crate::core::view::QueuedView;
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::{Item, QueuedValue};
use crate::text::visible;
use crate::told::Exit;

/// Writes that wait for the relay, and those that somebody else was faster than
///
/// A write in conflict was queued over one version of the record, and another device has written a later one since. It waits for you:
/// 'record put' writes again, 'record queue replace' sends it over the later version, 'record queue drop' forgets it.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign record queue\n  countersign record queue get notes first\n  \
    countersign record queue replace notes first\n  countersign record queue drop notes first\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List what waits, in the order of writing
    #[command(after_help = format!("Example:\n  countersign record queue list\n\n{EXIT_CODES}"))]
    List,
    /// Print what the last write that waits would put
    #[command(after_help = format!("Example:\n  countersign record queue get notes first\n\n{EXIT_CODES}"))]
    Get(Named),
    /// Send a write in conflict all the same, in the place of what this device knows
    #[command(after_help = format!("Examples:\n  countersign record get notes first\n  countersign record queue replace notes first\n\n{EXIT_CODES}"))]
    Replace(Named),
    /// Forget what waits of a record
    #[command(after_help = format!("Example:\n  countersign record queue drop notes first\n\n{EXIT_CODES}"))]
    Drop(Named),
}

#[derive(clap::Args)]
struct Named {
    /// Name of the collection
    collection: String,
    /// Name within it
    id: String,
}

impl Named {
    fn item(self) -> Item {
        Item { collection: self.collection, id: self.id }
    }
}

#[derive(Serialize)]
struct Listed {
    records: Vec<QueuedView>,
}

#[derive(Serialize)]
struct Changed {
    state: &'static str,
    collection: String,
    id: String,
}

/// Works on what waits.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what.unwrap_or(What::List) {
        What::List => list(context).await,
        What::Get(named) => get(context, named.item()).await,
        What::Replace(named) => change(context, "/records/queued/replace", "queued", named.item()).await,
        What::Drop(named) => change(context, "/records/queued/drop", "dropped", named.item()).await,
    }
}

async fn list(context: &Context) -> Result<Exit, AgentError> {
    let records: Vec<QueuedView> = context.door(Session::NotNeeded).await?.get("/records/queued").await?;
    context.result("countersign.record-queue/1", &Listed { records: records.clone() }, |output| {
        if records.is_empty() {
            output.progress("nothing is queued");
        }
        for queued in &records {
            output.line(&row(queued));
        }
    });
    Ok(Exit::Done)
}

fn row(queued: &QueuedView) -> String {
    let state = queued.refused.as_deref().unwrap_or("queued");
    format!("{}  {}  written {}  {state}", queued.kind, name(queued), clock::show(queued.at))
}

/// What `status` says of a write that is set aside, with what to type.
pub(super) fn refused(queued: &QueuedView) -> String {
    let (kind, item) = (&queued.kind, format!("{} {}", visible(&queued.collection), visible(&queued.id)));
    let why = match queued.refused.as_deref().unwrap_or("conflict") {
        "conflict" => format!("another device wrote it before this {kind} was sent"),
        code => format!("the relay refuses this {kind} ({code})"),
    };
    format!(
        "{}: {why}   (countersign record get {item}, then record put {item} or record queue drop {item})",
        name(queued)
    )
}

fn name(queued: &QueuedView) -> String {
    format!("{}/{}", visible(&queued.collection), visible(&queued.id))
}

#[derive(Serialize)]
struct Shown<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<&'a str>,
}

async fn get(context: &Context, item: Item) -> Result<Exit, AgentError> {
    let queued: QueuedValue = context.door(Session::NotNeeded).await?.post("/records/queued/get", &item).await?;
    let value_base64 = queued.value.as_ref().map(|value| value.as_str());
    let shown = Shown { kind: if value_base64.is_some() { "put" } else { "delete" }, value_base64 };
    context.result("countersign.record-queued/1", &shown, |output| match value_base64 {
        Some(value) => {
            let bytes = Zeroizing::new(BASE64.decode(value.as_bytes()).unwrap_or_default());
            output.value(&bytes);
        }
        None => output.progress("it deletes the record"),
    });
    Ok(Exit::Done)
}

async fn change(context: &Context, path: &str, state: &'static str, item: Item) -> Result<Exit, AgentError> {
    let () = context.door(Session::NotNeeded).await?.post(path, &item).await?;
    let changed = Changed { state, collection: item.collection, id: item.id };
    context.result("countersign.record-written/1", &changed, |output| match state {
        "queued" => {
            output.progress("queued: sent by countersign run, or by the next command that reads or writes records")
        }
        state => output.progress(state),
    });
    Ok(Exit::Done)
}
