//! What systemd is told, where it started this process and asked to be told (`Type=notify`, `WatchdogSec=`).

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// The process does what it was started for.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// The process finishes what is in flight, and ends.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says again and again that the process lives, twice in the time after which systemd would kill it. A runtime that no longer turns
/// says nothing.
pub(crate) async fn stay_alive() -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut half = interval((limit / 2).max(Duration::from_millis(1)));
    half.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        half.tick().await;
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("systemd cannot be told: {error}");
    }
}
