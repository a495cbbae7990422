//! The relay from listener to drain. `main` and the tests call the same function.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::accept::{Door, accept};
use crate::gate::Gate;
use crate::relay::Relay;
use crate::routes;
use crate::stream::TcpListener;
use crate::tls::Certificates;

/// How the relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything in flight was finished.
    Gracefully,
    /// Some connections were cut off at the time limit.
    AtTheLimit,
}

/// Serves until `shutdown` resolves, then drains: no new connections, sockets closed with 1012, what is in flight finished.
pub async fn run(
    listener: TcpListener,
    relay: Arc<Relay>,
    certificates: Option<Arc<Certificates>>,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let door = Arc::new(Door {
        router: routes::router(Arc::clone(&relay)),
        gate: Gate::new(relay.config.connections, relay.config.trusted_proxies.clone()),
        certificates,
        relay: Arc::clone(&relay),
    });
    let stop = async {
        shutdown.await;
        relay.drain();
        relay.tick_or_say().await;
    };
    let registry = Arc::clone(&relay.registry);
    // A task, not a branch beside accepting: it wakes sessions from a worker's own queue. Dropping the set ends it.
    let mut keeping_time = JoinSet::new();
    keeping_time.spawn(async move { registry.keep_time().await });
    let ticking = Arc::clone(&relay);
    keeping_time.spawn(async move { ticking.keep_ticking().await });
    let ((), mut tasks) = tokio::join!(stop, accept(listener, door));
    // Waited for: whoever stops this relay may open its store again.
    keeping_time.shutdown().await;
    let finish = async { while tasks.join_next().await.is_some() {} };
    match timeout(relay.config.timeouts.drain, finish).await {
        Ok(()) => Drained::Gracefully,
        // Dropping the set aborts the rest.
        Err(_) => Drained::AtTheLimit,
    }
}
