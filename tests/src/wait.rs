//! The one bound on every wait, and the one runtime under every socket.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// The longest that anything may take before a test gives up: far beyond what an idle machine needs, because a busy one is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));

/// Runs a future to its end within [`PATIENCE`].
///
/// # Panics
///
/// If it does not end.
pub fn run<F: Future>(what: &str, future: F) -> F::Output {
    RUNTIME.block_on(async {
        tokio::time::timeout(PATIENCE, future)
            .await
            .unwrap_or_else(|_| panic!("{what} did not end within {PATIENCE:?}"))
    })
}

/// Starts a task that ends with the returned handle.
pub fn task(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(RUNTIME.spawn(future).abort_handle())
}

/// A task with an owner.
#[derive(Debug)]
pub struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
