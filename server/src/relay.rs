//! What every route and session shares.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::wire::Standing;
use protocol::{ChainId, RequestId};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::failure::{Failure, Refusal};
use crate::rates::Rates;
use crate::registry::{Registry, Wake};
use crate::store::{Store, Tx, requests, waits};

/// How often uptime is written down, while anything waits: so much of it a crash may lose, and so much later a wait ends.
const TICK: Duration = Duration::from_secs(60);

/// The relay's state.
#[derive(Debug)]
pub struct Relay {
    /// Its configuration.
    pub config: Config,
    /// Origins that devices may dial and sign, RFC 6454, default port omitted.
    pub origins: Vec<String>,
    /// Its clock.
    pub clock: Clock,
    /// Its store.
    pub store: Store,
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// Limits on strangers.
    pub rates: Rates,
    /// Cancelled when the relay drains, by [`Relay::drain`]: sockets then close with 1012.
    pub draining: CancellationToken,
    warned_of_proxy: AtomicBool,
}

impl Relay {
    /// Puts the parts together. The store was opened at a time of this clock.
    #[must_use]
    pub fn new(config: Config, origins: Vec<String>, clock: Clock, store: Store) -> Self {
        let rates = Rates::new(&config.rates);
        Self {
            config,
            origins,
            clock,
            store,
            registry: Arc::default(),
            rates,
            draining: CancellationToken::new(),
            warned_of_proxy: AtomicBool::new(false),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Begins to drain: nothing new is let in, and every session is told.
    pub fn drain(&self) {
        // In this order: a session that registers after the second has seen the first.
        self.draining.cancel();
        self.registry.drain();
    }

    /// Whether it is the first time that this warning is due.
    pub fn first_warning_of_proxy(&self) -> bool {
        !self.warned_of_proxy.swap(true, Ordering::Relaxed)
    }

    /// Changes state, answers when it is durable, and wakes whom it concerns: also if the asker has hung up by then. What is
    /// stored and was announced to nobody would be seen with the next change only.
    ///
    /// # Errors
    ///
    /// Those of [`Store::change`].
    pub async fn change<T: Send + 'static>(
        &self,
        job: impl FnOnce(Tx<'_>) -> Result<T, Failure> + Send + 'static,
        wakes: impl FnOnce(&T) -> Option<Wake> + Send + 'static,
    ) -> Result<T, Failure> {
        let registry = Arc::clone(&self.registry);
        let job = move |tx: Tx<'_>| {
            let changed = job(tx)?;
            let owed = wakes(&changed).map(|wake| Owed { registry, wake });
            Ok((changed, owed))
        };
        let (changed, _owed) = self.store.change(job).await?;
        Ok(changed)
    }

    /// Does what time asks for, once: called about every minute while the relay runs, and when it stops.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the store: the next one does it.
    pub async fn tick(&self) -> Result<(), Failure> {
        // Nothing is written where nothing waits: an idle relay leaves its disk alone.
        if !self.store.read(waits::is_any).await? {
            return Ok(());
        }
        let now = self.now();
        self.store.change(move |tx| waits::note_uptime(tx, now)).await
    }

    /// Ticks for as long as it is polled.
    pub async fn keep_ticking(&self) -> Infallible {
        loop {
            tokio::time::sleep(TICK).await;
            self.tick_or_say().await;
        }
    }

    /// Ticks, and says in the log if that failed.
    pub(crate) async fn tick_or_say(&self) {
        if let Err(failure) = self.tick().await {
            tracing::error!(%failure, "what time asks for was not done");
        }
    }

    /// What a joiner is told of its own request.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] also for another device's request.
    pub async fn standing(&self, id: RequestId, device: protocol::DeviceId) -> Result<(ChainId, Standing), Failure> {
        let now = self.now();
        let (chain, mut standing) = self
            .store
            .glance(None, move |tx| {
                let request = requests::find(tx, &id)?.filter(|request| request.device == device);
                let request = request.ok_or(Refusal::NotFound)?;
                let chain = requests::chain_of(tx, &request)?;
                Ok((chain, requests::standing(tx, &request, now)?))
            })
            .await?;
        standing.online = self.registry.is_online(&chain);
        Ok((chain, standing))
    }
}

/// A wake-up that is owed. It lives in a job's answer, which outlives the commit, and is paid when it is dropped: by whoever takes
/// the answer, or with the answer where nobody does. If the commit fails somebody is woken for nothing.
struct Owed {
    registry: Arc<Registry>,
    wake: Wake,
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.registry.wake(self.wake);
    }
}
