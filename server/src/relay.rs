//! What every route and session shares.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::wire::Standing;
use protocol::{ChainId, RequestId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::failure::{Failure, Refusal};
use crate::rates::Rates;
use crate::registry::{News, Registry, Wake};
use crate::store::{Store, Tx, requests, resets, waits};

/// How often uptime is written down, while anything waits: so much of it a crash may lose, and so much later a wait ends.
const TICK: Duration = Duration::from_secs(60);
/// The least time between two of them: what is due may be done so much late.
const TICK_MIN: Duration = Duration::from_millis(250);

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
    /// Told when a tick may be due sooner than was thought.
    sooner: Notify,
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
            sooner: Notify::new(),
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

    /// Does what time asks for, once: writes uptime down, and carries out the resets that are due. Returns how long the next one may
    /// be put off.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the store: the next one does it.
    pub async fn tick(&self) -> Result<Duration, Failure> {
        // Nothing is written where nothing is counted: an idle relay leaves its disk alone.
        if !self.store.read(waits::is_any_counted).await? {
            return Ok(TICK);
        }
        let now = self.now();
        let job = move |tx: Tx<'_>| {
            waits::note_uptime(tx, now)?;
            Ok((resets::carry_out(tx, now)?, resets::next(tx, now)?))
        };
        let (reset, next) = self.store.change(job).await?;
        for chain in reset {
            tracing::warn!(chain = %chain.short(), "reset");
            self.registry.wake(Wake::all(chain, News::ALL));
        }
        Ok(next.map_or(TICK, |next| Duration::from_millis(next).clamp(TICK_MIN, TICK)))
    }

    /// Ticks for as long as it is polled, beginning now: what was due while the relay was down is done at once.
    pub async fn keep_ticking(&self) -> Infallible {
        loop {
            let pause = self.tick_or_say().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Lets the next tick come now: something waits that may be due before it.
    pub(crate) fn tick_sooner(&self) {
        self.sooner.notify_one();
    }

    /// Ticks, and says in the log if that failed.
    pub(crate) async fn tick_or_say(&self) -> Duration {
        self.tick().await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "what time asks for was not done");
            TICK
        })
    }

    /// What a joiner is told of its own request.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] also for another device's request.
    pub async fn standing(&self, id: RequestId, device: protocol::DeviceId) -> Result<(ChainId, Standing), Failure> {
        let now = self.now();
        let own = move |tx: Tx<'_>| {
            let request = requests::find(tx, &id)?.filter(|request| request.device == device);
            request.ok_or_else(|| Failure::from(Refusal::NotFound))
        };
        // Two reads: whether an admitted device is still a member says the roster, and that is not computed in place.
        let chain = self.store.glance(None, move |tx| requests::chain_of(tx, &own(tx)?)).await?;
        let mut standing = self.store.glance(Some(chain), move |tx| requests::standing(tx, &own(tx)?, now)).await?;
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
