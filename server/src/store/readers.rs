//! A few connections that read snapshots: some with threads of their own, some for short reads in place.
//!
//! Not the runtime's pool of blocking threads: it hands each job to the thread that waited longest, so dozens of cold threads take
//! turns at work for two, and handing over costs more than most reads.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::failure::Failure;

/// Threads that read, each with a connection. More than there are cores are of use where the disk is slow.
const THREADS: usize = 4;
/// Connections that are needed: those of the threads, and some for reads in place.
pub(super) const CONNECTIONS: usize = THREADS + 4;
/// Reads that may wait for a thread. At more, whoever asks waits.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    in_place: Mutex<Vec<Connection>>,
    room: Arc<Semaphore>,
    queue: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts the threads. `connections` are [`CONNECTIONS`] or more: each thread takes one, the rest are for reads in place.
    pub(super) fn start(mut connections: Vec<Connection>) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let start = |connection| {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name("store-reader".into()).spawn(move || work(&connection, &jobs))
        };
        let of_threads = connections.drain(..THREADS.min(connections.len()));
        let threads = of_threads.map(start).collect::<io::Result<Vec<_>>>()?;
        let (room, in_place) = (Arc::new(Semaphore::new(QUEUE)), Mutex::new(connections));
        Ok(Self { in_place, room, queue: Some(queue), threads })
    }

    /// Runs a read in one snapshot, on a thread for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // A simulation has one thread, on which its clock is.
        #[cfg(feature = "simulation")]
        let job = match self.run_in_place(|_| Ok(true), job) {
            Ok(done) => return done,
            Err(job) => job,
        };
        let closed = || Failure::Broken("the readers are gone");
        let (Ok(room), Some(queue)) = (Arc::clone(&self.room).acquire_owned().await, &self.queue) else {
            return Err(closed());
        };
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A defect in one read must not end the thread that others wait for.
            let result = catch_unwind(AssertUnwindSafe(|| snapshot(connection, job)));
            drop(room);
            // The asker may have hung up.
            let _ = sender.send(result.unwrap_or(Err(Failure::Broken("a read panicked"))));
        });
        // There is room: the queue is as long as there are permits.
        queue.send(job).map_err(|_| closed())?;
        receiver.await.map_err(|_| closed())?
    }

    /// Runs a read in one snapshot on the caller's own thread, if a connection is idle and `is_short` finds that it is short
    /// there; otherwise hands the read back.
    pub(super) fn run_in_place<T, F: FnOnce(&Connection) -> Result<T, Failure>>(
        &self,
        is_short: impl FnOnce(&Connection) -> Result<bool, Failure>,
        job: F,
    ) -> Result<Result<T, Failure>, F> {
        let Some(connection) = self.idle().pop() else { return Err(job) };
        let mut job = Some(job);
        let read = |connection: &Connection| match is_short(connection)? {
            true => job.take().map(|job| job(connection)).transpose(),
            false => Ok(None),
        };
        // A defect in one read must not cost the connection, nor the socket's task.
        let result = catch_unwind(AssertUnwindSafe(|| snapshot(&connection, read)))
            .unwrap_or(Err(Failure::Broken("a read panicked")));
        self.idle().push(connection);
        match (result, job) {
            (Ok(Some(value)), _) => Ok(Ok(value)),
            (Err(failure), _) => Ok(Err(failure)),
            (Ok(None), Some(job)) => Err(job),
            (Ok(None), None) => Ok(Err(Failure::Broken("a read without a result"))),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.in_place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // The queue is closed, so each finishes what it holds and ends.
            let _ = thread.join();
        }
    }
}

fn work(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job(connection);
    }
}

fn snapshot<T>(connection: &Connection, job: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
    // Prepared once: to parse these two is a good part of a short read.
    connection.prepare_cached("BEGIN")?.execute([])?;
    let end = Ending(connection);
    let result = job(connection);
    drop(end);
    result
}

/// Ends a snapshot, also where its job panics.
struct Ending<'a>(&'a Connection);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        // Nothing was written, so there is nothing that could be lost; a connection that is stuck fails at its next BEGIN.
        let _ = self.0.prepare_cached("COMMIT").and_then(|mut statement| statement.execute([]));
    }
}
