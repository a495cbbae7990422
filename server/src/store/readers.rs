//! A few connections that read snapshots, off the threads that serve sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::failure::Failure;

/// Connections. Reads are short, so a few keep the cores busy; each has a page cache of its own.
const CONNECTIONS: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// Opens all connections at once: a relay that runs out of descriptors later can still read.
    pub(super) fn open(connect: impl Fn() -> rusqlite::Result<Connection>) -> rusqlite::Result<Self> {
        let idle = (0..CONNECTIONS).map(|_| connect()).collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self { free: Arc::new(Semaphore::new(CONNECTIONS)), idle: Arc::new(Mutex::new(idle)) })
    }

    /// Runs a read in a transaction of its own: all of it sees one state.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let closed = Failure::Broken("the readers are gone");
        let Ok(permit) = Arc::clone(&self.free).acquire_owned().await else {
            return Err(closed);
        };
        let idle = Arc::clone(&self.idle);
        let task = tokio::task::spawn_blocking(move || {
            let Some(connection) = idle.lock().unwrap_or_else(PoisonError::into_inner).pop() else {
                return Err(Failure::Broken("a permit without a connection"));
            };
            // A defect in one read must not cost the connection, or after a few of them nobody could read.
            let result = catch_unwind(AssertUnwindSafe(|| snapshot(&connection, job)))
                .unwrap_or(Err(Failure::Broken("a read panicked")));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            result
        });
        task.await.unwrap_or(Err(closed))
    }
}

fn snapshot<T>(connection: &Connection, job: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
    let transaction = connection.unchecked_transaction()?;
    let result = job(&transaction);
    transaction.finish()?;
    result
}
