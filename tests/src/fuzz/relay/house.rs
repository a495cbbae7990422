//! The real relay in this process: its router, its store, its sockets, with a clock that the fuzzer sets.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use countersign_relay::address::Client;
use countersign_relay::clock::{Clock, Moment};
use countersign_relay::config::Config;
use countersign_relay::rates::{Rate, RatesConfig};
use countersign_relay::relay::Relay;
use countersign_relay::routes::{self, Peer, UpgradeSlot};
use countersign_relay::run::{Drained, run};
use countersign_relay::store::{OpenError, Store, Synchronous};
use http_body_util::BodyExt as _;
use protocol::http_signature;
use protocol::id::Random;
use protocol::keys::{DeviceKeys, SigningKey};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::answer::Answer;

/// The origin that devices sign.
pub(super) const ORIGIN: &str = "https://relay.example";
/// When the first relay starts: unix milliseconds.
const BEGINNING: u64 = 1_800_000_000_000;

/// A relay and its folder.
#[derive(Debug)]
pub(super) struct House {
    pub(super) runtime: Runtime,
    relay: Option<Arc<Relay>>,
    /// Made once for each relay: to make it takes longer than most requests.
    router: Option<Router>,
    clock: Arc<Mutex<Moment>>,
    listening: Option<Listening>,
    folder: TempDir,
    reads: u64,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Drained>,
}

impl House {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // In memory where there is such a place: nothing here shall survive.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let clock = Arc::new(Mutex::new(Moment { wall: BEGINNING, steady: BEGINNING }));
        let mut house = Self {
            runtime,
            relay: None,
            router: None,
            clock,
            listening: None,
            folder: folder.expect("a folder"),
            reads: 0,
        };
        house.open();
        house
    }

    fn open(&mut self) {
        // The limits on strangers count by a clock of their own; what they refuse would hide what lies behind.
        let rate = Rate(NonZeroU32::MAX);
        let rates = RatesConfig {
            requests_per_address: rate,
            requests_per_join_key: rate,
            chains_per_address: rate,
            refused_per_address: rate,
        };
        let config = Config { data: self.folder.path().to_owned(), rates, ..Config::default() };
        let clock = Clock::Set(Arc::clone(&self.clock));
        let store = self.open_store(clock.now().wall).expect("the store opens, whatever was sent");
        let relay = Arc::new(Relay::new(config, vec![ORIGIN.to_owned()], clock, store));
        self.router = Some(routes::router(Arc::clone(&relay)));
        self.relay = Some(relay);
    }

    /// A process that another test starts holds every lock of this one between its fork and its exec.
    fn open_store(&self, now: u64) -> Result<Store, OpenError> {
        for _ in 0..100_000 {
            match Store::open(self.folder.path(), Synchronous::Off, now) {
                Err(OpenError::InUse { .. }) => std::thread::yield_now(),
                opened => return opened,
            }
        }
        Store::open(self.folder.path(), Synchronous::Off, now)
    }

    fn relay(&self) -> &Arc<Relay> {
        self.relay.as_ref().expect("open but within a restart")
    }

    pub(super) fn now(&self) -> Moment {
        self.relay().now()
    }

    /// Which store it is.
    pub(super) fn store(&self) -> u64 {
        self.relay().store.identity()
    }

    /// Lets the relay do what time asks for.
    pub(super) fn tick(&self) {
        self.runtime.block_on(self.relay().tick()).expect("nothing that waits is broken");
    }

    /// Lets time pass.
    pub(super) fn pass(&self, millis: u64) {
        let mut moment = self.clock.lock().expect("nobody panics while it is held");
        *moment = Moment { wall: moment.wall + millis, steady: moment.steady + millis };
    }

    /// The machine's clock is set, forward or back; no time passes.
    pub(super) fn sets_clock(&self, by: i64) {
        let mut moment = self.clock.lock().expect("nobody panics while it is held");
        moment.wall = moment.wall.saturating_add_signed(by);
    }

    /// Whether anybody dialled since the relay started.
    pub(super) fn was_dialled(&self) -> bool {
        self.listening.is_some()
    }

    /// Where to dial for a socket.
    pub(super) fn listens(&mut self) -> SocketAddr {
        if let Some(listening) = &self.listening {
            return listening.address;
        }
        let listener = self.runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move { drop(stopped.await) };
        let task = self.runtime.spawn(run(listener, Arc::clone(self.relay()), None, shutdown));
        self.listening = Some(Listening { address, stop, task });
        address
    }

    /// Stops the relay while `meanwhile` goes on.
    pub(super) fn stop(&mut self, meanwhile: impl Future<Output = ()>) {
        if let Some(Listening { stop, task, .. }) = self.listening.take() {
            let _ = stop.send(());
            let (drained, ()) = self.runtime.block_on(async { tokio::join!(task, meanwhile) });
            assert_eq!(drained.expect("no panic in the relay"), Drained::Gracefully);
        }
    }

    /// Starts a relay on the same store, after [`House::stop`].
    pub(super) fn start(&mut self) {
        self.router = None;
        let relay = self.relay.take().map(Arc::into_inner);
        assert!(matches!(relay, Some(Some(_))), "a stopped relay leaves nothing behind that holds it");
        drop(relay);
        let mut moment = self.clock.lock().expect("nobody panics while it is held");
        moment.steady = moment.wall;
        drop(moment);
        self.open();
    }

    pub(super) fn post(&self, path: &str, body: &[u8], from: IpAddr) -> Answer {
        let request = http::Request::post(path).body(Body::from(body.to_vec()));
        self.send(request.expect("a request"), from)
    }

    /// A request as it is.
    pub(super) fn send(&self, mut request: http::Request<Body>, from: IpAddr) -> Answer {
        // As the accept loop does.
        request.extensions_mut().insert(Peer(Client { address: from, proxy: None }));
        request.extensions_mut().insert(UpgradeSlot::default());
        let router = self.router.clone().expect("open but within a restart");
        self.runtime.block_on(async {
            let response = router.oneshot(request).await.expect("a router does not fail");
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("a body in memory").to_bytes().to_vec();
            Answer::new(parts.status.as_u16(), &parts.headers, body)
        })
    }

    /// A read that a key signed, `skew` seconds from the relay's clock.
    pub(super) fn read_at(&mut self, key: &SigningKey, path: &str, skew: i64) -> Answer {
        self.reads += 1;
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.reads.to_be_bytes());
        let created = (self.now().wall / 1000).saturating_add_signed(skew);
        let uri = format!("{ORIGIN}{path}");
        let headers = http_signature::sign(key, "GET", &uri, created, Random(nonce));
        let request = http::Request::get(path)
            .header("signature-input", headers.input)
            .header("signature", headers.signature)
            .body(Body::empty());
        self.send(request.expect("a request"), IpAddr::from([127, 0, 0, 1]))
    }

    pub(super) fn read(&mut self, keys: &DeviceKeys, path: &str) -> Answer {
        self.read_at(&keys.signing, path, 0)
    }
}
