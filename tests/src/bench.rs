//! The benchmark: each figure of the real relay beside the floor that the same run measures.
//!
//! The relay is a child process with its limits on, found beside this program; a second child is bare hyper and tungstenite
//! without Countersign, for the floors. Clients are full ones: they verify, pin with fsync, and open their welcome. Every device
//! dials from an address of its own in 127.0.0.0/8.

mod options;
mod clock;
mod figure;
mod child;
mod bare;
mod dial;
mod device;
mod spread;
mod floor;
mod join;
mod joins;
mod crowd;
mod pushes;
mod writes;
mod growth;
mod rotation;

use std::process::ExitCode;

use options::{Options, What};

/// What every section works with.
struct Bench {
    options: Options,
    folder: tempfile::TempDir,
    bare: bare::Bare,
    table: figure::Table,
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let options = match Options::from_arguments(std::env::args().skip(1)) {
        Ok(What::Run(options)) => options,
        Ok(What::Bare) => return bare::serve(),
        Err(usage) => {
            figure::say(usage);
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(options));
    // Client tasks that still wait for a relay that is gone are not waited for.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

async fn run(options: Options) {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = bare::Bare::start(folder.path());
    let mut bench = Bench { options, folder, bare, table: figure::Table::default() };
    if bench.options.wants("floor") {
        floor::run(&mut bench).await;
    }
    if bench.options.wants("join") {
        joins::run(&mut bench).await;
    }
    if bench.options.wants("write") {
        writes::run(&mut bench).await;
    }
    if bench.options.wants("push") {
        pushes::run(&mut bench).await;
    }
    if bench.options.wants("memory") {
        crowd::run(&mut bench).await;
    }
    if bench.options.wants("rotation") {
        rotation::run(&mut bench).await;
    }
    if bench.options.wants("growth") {
        growth::run(&mut bench).await;
    }
    if let Some(file) = &bench.options.json {
        std::fs::write(file, bench.table.json()).expect("the file for the figures");
    }
}
