//! `countersign record`: encrypted, signed items.

use std::path::PathBuf;

use clap::Subcommand;
use data_encoding::BASE64;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Context, EXIT_CODES, asked_to_stop, export, lost, queue, read_file, read_stdin, rekey};
use crate::clock;
use crate::core::view::{Event, ItemStanding, ItemView};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::{Collection, Item, Write};
use crate::output::Format;
use crate::text::{quote, visible};
use crate::told::{Exit, Told};

/// Write and read records
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign record put notes first 'hello'\n  \
    countersign record put notes photo --file cat.jpg\n  countersign record get notes first\n  \
    countersign record list notes\n  countersign record delete notes first\n  countersign record watch\n  \
    countersign record rekey\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write a record: the value as an argument, from a file, or from standard input with -
    ///
    /// What is sealed of it (value, names, and a few bytes of the seal) has at most 256 KiB.
    #[command(after_help = format!("Examples:\n  countersign record put notes first 'hello'\n  countersign record put notes photo --file cat.jpg\n  date | countersign record put notes today -\n  countersign record put --queue notes first 'hello'\n\n{EXIT_CODES}"))]
    Put {
        /// Name of the collection
        collection: String,
        /// Name within it
        id: String,
        /// The value; - reads standard input
        #[arg(conflicts_with = "file")]
        value: Option<String>,
        /// Read the value from a file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        when: When,
    },
    /// Print a record: on a terminal as a line, into a pipe or a file exactly the bytes that were put
    #[command(after_help = format!("Examples:\n  countersign record get notes first\n  countersign record get notes photo > cat.jpg\n\n{EXIT_CODES}"))]
    Get {
        /// Name of the collection
        collection: String,
        /// Name within it
        id: String,
    },
    /// List records
    #[command(after_help = format!("Example:\n  countersign record list notes\n\n{EXIT_CODES}"))]
    List {
        /// Of one collection only
        collection: Option<String>,
    },
    /// Delete a record
    #[command(after_help = format!("Examples:\n  countersign record delete notes first\n  countersign record delete --queue notes first\n\n{EXIT_CODES}"))]
    Delete {
        /// Name of the collection
        collection: String,
        /// Name within it
        id: String,
        #[command(flatten)]
        when: When,
    },
    /// Write every record of an old epoch anew under the current keys, which a removed device does not have
    ///
    /// It can be broken off and typed again: what is done is done. Others may write meanwhile. Disputed records stay as they are.
    ///
    /// A record has the signature of the device that seals it: those that are written anew are by this device from then on, and count or
    /// are disputed with it. So distrust devices first ('devices remove NAME --from'), and do this on a device that stays.
    #[command(after_help = format!("Example:\n  countersign record rekey\n\n{EXIT_CODES}"))]
    Rekey,
    Queue(queue::Args),
    Lost(lost::Args),
    Export(export::Args),
    /// Print records as they change, on whichever device
    #[command(after_help = format!("Examples:\n  countersign record watch\n  countersign record watch notes --json\n\n{EXIT_CODES}"))]
    Watch {
        /// Of one collection only
        collection: Option<String>,
    },
}

/// When a write is sent.
#[derive(clap::Args)]
struct When {
    /// Keep the write and return at once; it is sent when the relay is next reached by the daemon ('run'), or by a command that reads or writes records
    ///
    /// If another device writes the same record before that, nothing is overwritten: 'countersign status' shows the conflict.
    #[arg(long)]
    queue: bool,
}

/// Works on records.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what {
        What::Put { collection, id, value, file, when } => put(context, collection, id, value, file, when).await,
        What::Get { collection, id } => get(context, collection, id).await,
        What::List { collection } => list(context, collection).await,
        What::Delete { collection, id, when } => {
            write(context, Write { collection, id, value: None }, "deleted", when).await
        }
        What::Rekey => rekey::run(context).await,
        What::Queue(args) => queue::run(context, args).await,
        What::Lost(args) => lost::run(context, args).await,
        What::Export(args) => export::run(context, args).await,
        What::Watch { collection } => {
            tokio::select! {
                watched = watch(context, collection) => watched,
                () = asked_to_stop() => Ok(Exit::Done),
            }
        }
    }
}

#[derive(Serialize)]
struct Written {
    state: &'static str,
    collection: String,
    id: String,
}

async fn write(context: &Context, write: Write, done: &'static str, when: When) -> Result<Exit, AgentError> {
    let (path, state) = if when.queue { ("/records/queue", "queued") } else { ("/records/write", done) };
    let sent = context.door(Session::NotNeeded).await?.post(path, &write).await;
    let () = sent.map_err(|error| if when.queue { error } else { queueable(error) })?;
    let written = Written { state, collection: write.collection, id: write.id };
    context.result("countersign.record-written/1", &written, |output| match state {
        "queued" => output.progress("queued: it is sent when the relay is reached   (countersign status)"),
        state => output.progress(state),
    });
    Ok(Exit::Done)
}

/// A write that the relay is not there for can wait.
fn queueable(error: AgentError) -> AgentError {
    match error {
        AgentError::Told(told) if told.code == "unreachable" => {
            let hint = "the same with --queue   (it is kept, and sent later)   or   countersign relay show".to_owned();
            AgentError::Told(Told { hint: Some(hint), ..told })
        }
        error => error,
    }
}

async fn put(
    context: &Context,
    collection: String,
    id: String,
    value: Option<String>,
    file: Option<PathBuf>,
    when: When,
) -> Result<Exit, AgentError> {
    let bytes = match (value, file) {
        (Some(value), None) if value == "-" => Zeroizing::new(read_stdin()?),
        (Some(value), None) => Zeroizing::new(value.into_bytes()),
        (None, Some(file)) => Zeroizing::new(read_file(&file)?),
        _ => {
            return Err(AgentError::Usage {
                what: "there is no value to write".to_owned(),
                hint: format!(
                    "countersign record put {collection} {id} VALUE   (or - for standard input, or --file FILE)"
                ),
            });
        }
    };
    let value = Some(Zeroizing::new(BASE64.encode(&bytes)));
    write(context, Write { collection, id, value }, "stored", when).await
}

/// An item for programs: text where it is text.
#[derive(Serialize)]
struct Printed {
    collection: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    writer: String,
    at: u64,
    version: String,
    /// Its writer is not trusted from a place before it on.
    disputed: bool,
}

impl From<ItemView> for Printed {
    fn from(item: ItemView) -> Self {
        let bytes = BASE64.decode(item.value.as_bytes()).unwrap_or_default();
        let text = String::from_utf8(bytes).ok().map(Zeroizing::new);
        let value_base64 = if text.is_none() { Some(item.value) } else { None };
        Self {
            collection: item.collection,
            id: item.id,
            value: text,
            value_base64,
            writer: item.writer,
            at: item.at,
            version: item.version,
            disputed: item.standing == ItemStanding::Disputed,
        }
    }
}

async fn get(context: &Context, collection: String, id: String) -> Result<Exit, AgentError> {
    let item: ItemView = context.door(Session::NotNeeded).await?.post("/records/get", &Item { collection, id }).await?;
    let bytes = Zeroizing::new(BASE64.decode(item.value.as_bytes()).unwrap_or_default());
    let printed = Printed::from(item);
    context.result("countersign.record/1", &printed, |output| {
        if printed.disputed {
            output.progress(&format!(
                "DISPUTED: {} wrote this after the place from which on it is not trusted; putting it anew settles that",
                quote(&printed.writer)
            ));
        }
        output.value(&bytes);
    });
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Listed {
    records: Vec<Printed>,
}

async fn list(context: &Context, collection: Option<String>) -> Result<Exit, AgentError> {
    let items: Vec<ItemView> =
        context.door(Session::NotNeeded).await?.post("/records/list", &Collection { collection }).await?;
    let records = Listed { records: items.into_iter().map(Printed::from).collect() };
    context.result("countersign.records/1", &records, |output| {
        if records.records.is_empty() {
            output.progress("no records");
        }
        for record in &records.records {
            output.line(&row(record, "put"));
        }
    });
    Ok(Exit::Done)
}

/// Names are chosen by members, and shown on a terminal all the same.
fn row(record: &Printed, kind: &str) -> String {
    format!(
        "{kind}  {}/{}  by {}  {}{}",
        visible(&record.collection),
        visible(&record.id),
        quote(&record.writer),
        clock::show(record.at),
        if record.disputed { "  DISPUTED" } else { "" }
    )
}

#[derive(Serialize)]
struct Changed<'a> {
    kind: &'a str,
    record: &'a Printed,
}

async fn watch(context: &Context, collection: Option<String>) -> Result<Exit, AgentError> {
    let door = context.door(Session::Needed).await?;
    let mut events = door.events().await?;
    while let Some(event) = events.next().await {
        let (item, kind) = match event {
            Event::Record { item, kind } => (item, kind),
            Event::Stopped { told } => return Err(AgentError::Told(told)),
            _ => continue,
        };
        if collection.as_ref().is_some_and(|wanted| *wanted != item.collection) {
            continue;
        }
        let record = Printed::from(*item);
        if context.output.format() == Format::Text {
            context.output.line(&row(&record, &kind));
        } else {
            context.result("countersign.record-changed/1", &Changed { kind: &kind, record: &record }, |_| {});
        }
    }
    Err(AgentError::Daemon { what: "it ended".to_owned() })
}
