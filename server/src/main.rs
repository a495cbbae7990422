//! `countersign-relay`: boring on purpose.

use std::io::Write as _;
use std::sync::Arc;

use countersign_relay::config::Config;
use countersign_relay::origins::{self, Scheme};
use countersign_relay::relay::Relay;
use countersign_relay::run::run;
use countersign_relay::store::Store;
use tokio::net::TcpListener;

fn main() -> anyhow::Result<()> {
    let config = Config::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(&config.data, config.synchronous)?;
        let listener = TcpListener::bind(config.listen).await?;
        let bound = listener.local_addr()?;
        let relay = Arc::new(Relay::new(config, origins::of_listener(Scheme::Http, bound), store));
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on {}", origins::shown(Scheme::Http, bound))?;
        out.flush()?;
        drop(out);
        run(listener, relay, None, std::future::pending()).await;
        Ok(())
    })
}
