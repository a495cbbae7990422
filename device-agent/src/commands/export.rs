//! `countersign record export`: every current item as lines of JSON, to standard output or into a new file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::new_file::NewFile;
use super::{Context, EXIT_CODES};
use crate::core::view::Freshness;
use crate::door::{Lines, Session};
use crate::error::AgentError;
use crate::local::body::Collection;
use crate::output::Reader;
use crate::told::Exit;

/// Write out the content of every record, for a backup or another program
///
/// Lines of JSON: one that says what this is, then one for each record, in the order of writing. Nothing in it is sealed any more.
/// Without a connection it is what this device has, and the first line says so. docs/export.md has every field.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign record export notes.jsonl\n  \
    countersign record export --collection notes - | jq -r .id\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Of one collection only
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// A file that does not exist yet; - or none for standard output
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,
}

/// What of the first line is told here.
#[derive(Deserialize)]
struct Header {
    relay: Freshness,
}

#[derive(Serialize)]
struct Exported<'a> {
    file: String,
    records: u64,
    collection: Option<&'a str>,
}

/// Exports.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let wanted = Collection { collection: args.collection };
    let file = args.file.filter(|file| file.as_os_str() != "-");
    // Before anything is read.
    let new = file.as_deref().map(|file| NewFile::begin(file, "countersign record export FILE")).transpose()?;
    let mut lines = context.door(Session::NotNeeded).await?.post_for_lines("/records/export", &wanted).await?;
    let header = lines.next().await?.unwrap_or_default();
    match serde_json::from_slice::<Header>(&header).map(|header| header.relay) {
        Ok(Freshness::NotReached) => {
            context.output.progress("the relay was not reached: this is what this device has");
        }
        Ok(Freshness::Refused) => {
            context.output.progress("the relay gives this device nothing   (countersign status): this is what it has");
        }
        Ok(Freshness::CaughtUp) | Err(_) => {}
    }
    let Some((file, new)) = file.zip(new) else { return print(context, &header, lines).await };
    let records = write(new, &header, lines).await?;
    let exported = Exported { file: file.display().to_string(), records, collection: wanted.collection.as_deref() };
    context.result("countersign.record-export/1", &exported, |output| {
        output.progress(&format!("exported to {}: {records}; nothing in it is sealed", file.display()));
    });
    Ok(Exit::Done)
}

/// A reader that went away has what it wanted; one that could not take everything has not.
async fn print(context: &Context, header: &[u8], mut lines: Lines) -> Result<Exit, AgentError> {
    let mut reader = context.output.stream(header);
    while reader.map_err(AgentError::Terminal)? == Reader::There {
        let Some(line) = lines.next().await? else { break };
        reader = context.output.stream(&line);
    }
    Ok(Exit::Done)
}

/// Writes all of it into the file. Returns how many records it has.
async fn write(mut file: NewFile, header: &[u8], mut lines: Lines) -> Result<u64, AgentError> {
    file.write(header)?;
    let mut records: u64 = 0;
    while let Some(line) = lines.next().await? {
        file.write(&line)?;
        records += 1;
    }
    file.finish()?;
    Ok(records)
}
