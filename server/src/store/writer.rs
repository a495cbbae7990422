//! The one thread that writes, with group commit: one sync for all that wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(not(feature = "simulation"))]
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Jobs that may wait for the writer. At more, whoever asks waits, and hyper reads no further from its socket.
const QUEUE: usize = 1024;
/// Jobs in one commit. More would make the first wait for the last without saving much of a sync.
const GROUP: usize = 512;

/// What a job did to its savepoint.
enum Outcome {
    Keep,
    Undo,
    /// SQLite itself failed; the transaction cannot be trusted.
    Fatal(String),
}

/// Tells a job's asker. It is called after the commit, with what went wrong with it.
type Answer = Box<dyn FnOnce(Option<&str>) + Send>;
/// Called without a connection where the group has failed before its turn: then it is only answered.
type Job = Box<dyn FnOnce(Option<&Connection>) -> (Outcome, Answer) + Send>;

/// The way to the writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    #[cfg(not(feature = "simulation"))]
    thread: Option<JoinHandle<()>>,
    #[cfg(feature = "simulation")]
    in_place: Arc<in_place::Worker>,
    state: Arc<State>,
}

/// What the thread tells of itself.
#[derive(Debug)]
struct State {
    healthy: AtomicBool,
    commits: AtomicU64,
}

impl Writer {
    /// Starts the thread. It owns the connection, and ends when the last sender is dropped.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let state = Arc::new(State { healthy: AtomicBool::new(true), commits: AtomicU64::new(0) });
        let told = Arc::clone(&state);
        #[cfg(feature = "simulation")]
        return Ok(Self { queue: Some(queue), in_place: in_place::Worker::new(connection, jobs, told), state });
        #[cfg(not(feature = "simulation"))]
        let thread =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || work(&connection, jobs, &told))?;
        #[cfg(not(feature = "simulation"))]
        Ok(Self { queue: Some(queue), thread: Some(thread), state })
    }

    /// Whether the last commit succeeded.
    pub(super) fn is_healthy(&self) -> bool {
        self.state.healthy.load(Ordering::Relaxed)
    }

    /// Commits so far. It grows before anything of a commit is answered: as long as it stays the same, nothing was acknowledged.
    pub(super) fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::Acquire)
    }

    /// Runs a job in a transaction, all or nothing, and answers when it is durable.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = match connection {
                None => Err(Failure::NotDurable("the commit before it failed".into())),
                // A defect in one job must not end the thread that all others wait for.
                Some(connection) => catch_unwind(AssertUnwindSafe(|| job(connection)))
                    .unwrap_or(Err(Failure::Broken("a job of the writer panicked"))),
            };
            let outcome = match &result {
                Ok(_) => Outcome::Keep,
                Err(Failure::Refused(_) | Failure::Broken(_)) => Outcome::Undo,
                Err(Failure::NotDurable(why)) => Outcome::Fatal(why.clone()),
            };
            let answer: Answer = Box::new(move |failed| {
                let result = failed.map_or(result, |why| Err(Failure::NotDurable(why.to_owned())));
                // The asker may have hung up; what it asked is durable all the same.
                let _ = sender.send(result);
            });
            (outcome, answer)
        });
        let closed = || Failure::NotDurable("the store is closed".into());
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        #[cfg(feature = "simulation")]
        in_place::Worker::turn(&self.in_place);
        receiver.await.map_err(|_| closed())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        #[cfg(not(feature = "simulation"))]
        if let Some(thread) = self.thread.take() {
            // The queue is closed, so the thread finishes what it holds and ends.
            let _ = thread.join();
        }
    }
}

#[cfg(not(feature = "simulation"))]
fn work(connection: &Connection, mut jobs: mpsc::Receiver<Job>, state: &State) {
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = jobs.blocking_recv() {
        group.push(first);
        work_off(connection, &mut group, &mut jobs, state);
    }
}

/// Commits a group that has begun, with what waits besides, and answers.
fn work_off(connection: &Connection, group: &mut Vec<Job>, jobs: &mut mpsc::Receiver<Job>, state: &State) {
    while group.len() < GROUP {
        match jobs.try_recv() {
            Ok(job) => group.push(job),
            Err(_) => break,
        }
    }
    let mut answers = Vec::with_capacity(group.len());
    let committed = commit(connection, group.drain(..), &mut answers);
    state.healthy.store(committed.is_ok(), Ordering::Relaxed);
    state.commits.fetch_add(1, Ordering::Release);
    if let Err(why) = &committed {
        tracing::error!(%why, "the store could not commit");
    }
    for answer in answers {
        answer(committed.as_ref().err().map(String::as_str));
    }
}

/// The writer of a simulation: the same commits on the simulation's own thread, each after the time that a disk takes.
#[cfg(feature = "simulation")]
mod in_place {
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use rusqlite::Connection;
    use tokio::sync::mpsc;

    use super::{Job, State, work_off};

    /// Until a commit is durable. Jobs that come meanwhile are of the same group, and a crash takes all of them.
    const SYNC: Duration = Duration::from_millis(2);

    #[derive(Debug)]
    pub(super) struct Worker {
        desk: Mutex<(Connection, mpsc::Receiver<Job>)>,
        state: Arc<State>,
    }

    impl Worker {
        pub(super) fn new(connection: Connection, jobs: mpsc::Receiver<Job>, state: Arc<State>) -> Arc<Self> {
            Arc::new(Self { desk: Mutex::new((connection, jobs)), state })
        }

        /// Works off what waits, in a moment, whether or not who asked still waits. The task ends with the simulated machine.
        pub(super) fn turn(this: &Arc<Self>) {
            let this = Arc::clone(this);
            tokio::spawn(async move {
                tokio::time::sleep(SYNC).await;
                let mut desk = this.desk.lock().unwrap_or_else(PoisonError::into_inner);
                let (connection, jobs) = &mut *desk;
                if let Ok(first) = jobs.try_recv() {
                    work_off(connection, &mut vec![first], jobs, &this.state);
                }
            });
        }
    }
}

/// Runs a group in one transaction. A refused job undoes its own savepoint; a failing store undoes the whole group, refusals
/// included: they may rest on what was not kept.
fn commit(connection: &Connection, group: impl Iterator<Item = Job>, answers: &mut Vec<Answer>) -> Result<(), String> {
    let mut state = run(connection, "BEGIN IMMEDIATE");
    for job in group {
        if state.is_ok() {
            state = run(connection, "SAVEPOINT job");
        }
        let (outcome, answer) = job(state.is_ok().then_some(connection));
        answers.push(answer);
        if state.is_ok() {
            state = match outcome {
                Outcome::Keep => run(connection, "RELEASE job"),
                Outcome::Undo => run(connection, "ROLLBACK TO job").and_then(|()| run(connection, "RELEASE job")),
                Outcome::Fatal(why) => Err(why),
            };
        }
    }
    let state = state.and_then(|()| run(connection, "COMMIT"));
    if state.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    state
}

fn run(connection: &Connection, sql: &str) -> Result<(), String> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(|_| ())
        .map_err(|e| e.to_string())
}
