//! `serve`: config, bind, say what was bound, run, drain, say whether it was graceful.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{print, state_dir};
use crate::clock::Clock;
use crate::config::{Config, Loaded, Log, LogFormat};
use crate::origins::{self, Scheme};
use crate::relay::Relay;
use crate::run::{Drained, run};
use crate::service;
use crate::store::{Store, Synchronous};
use crate::stream::TcpListener;
use crate::tls::Certificates;

pub(super) fn serve(loaded: Loaded) -> anyhow::Result<()> {
    start_logs(&loaded.config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_inner(loaded.config))
}

async fn serve_inner(mut config: Config) -> anyhow::Result<()> {
    let certificates =
        if config.tls.are_set() { Some(Arc::new(Certificates::load(config.tls.clone())?)) } else { None };
    let scheme = if certificates.is_some() { Scheme::Https } else { Scheme::Http };
    config.data = state_dir::of(&config)?;
    config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    if config.synchronous == Synchronous::Off {
        tracing::warn!("store.synchronous is off: acknowledged writes are lost when the power fails");
    }
    let clock = Clock::start();
    let store = Store::open(&config.data, config.synchronous, clock.now().wall)?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let bound = listener.local_addr()?;
    let origins = match config.public_origins.as_slice() {
        [] => origins::of_listener(scheme, bound),
        configured => configured.to_vec(),
    };
    let stop = stop_signals()?;
    let reload = signal(SignalKind::hangup())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %bound, ?origins, data = %config.data.display(), "serving");
    let relay = Arc::new(Relay::new(config, origins, clock, store));
    print(&format!("listening on {}\n", origins::shown(scheme, bound)))?;
    service::ready();
    let stop = async {
        stop.await;
        service::stopping();
    };
    let serving = run(listener, relay, certificates.clone(), stop);
    let drained = tokio::select! {
        drained = serving => drained,
        never = reload_on(reload, certificates) => match never {},
        never = service::stay_alive() => match never {},
    };
    match drained {
        Drained::Gracefully => tracing::info!("drained"),
        Drained::AtTheLimit => tracing::warn!("some connections were cut off at the time limit"),
    }
    Ok(())
}

fn stop_signals() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn reload_on(mut hangup: Signal, certificates: Option<Arc<Certificates>>) -> std::convert::Infallible {
    loop {
        if hangup.recv().await.is_none() {
            return std::future::pending().await;
        }
        match certificates.as_ref().map(|certificates| certificates.reload()) {
            None => tracing::info!("nothing to read again: TLS is not configured"),
            Some(Ok(())) => tracing::info!("certificates were read again"),
            Some(Err(error)) => tracing::error!(%error, "the old certificates stay in force"),
        }
    }
}

fn start_logs(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level).with_context(|| format!("log.level {:?} cannot be used", log.level))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    let started = match log.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logs: {error}"))
}
