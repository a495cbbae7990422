//! A relay in this process, and people with devices.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use countersign_relay::clock::Clock;
use countersign_relay::config::Config;
use countersign_relay::origins::{self, Scheme};
use countersign_relay::relay::Relay;
use countersign_relay::run::{Drained, run};
use countersign_relay::store::{Store, Synchronous};
use countersign_relay::tls::Certificates;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use protocol::cbor::Blob;
use protocol::code::SyncCode;
use protocol::connect::{Connect, Cursor, Standing};
use protocol::entry::{DenyReason, Entry, Founding};
use protocol::id::Random;
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Role};
use protocol::request::{Description, JoinRequest, Withdrawal};
use protocol::roster::Roster;
use protocol::round::{Attempt, Commitments, JoinerRounds, Nonce, Prompt, Reveal};
use protocol::wire::{self, FromDevice, ToDevice};
use protocol::{ChainId, Hash, RequestId, SUBPROTOCOL, VERSION, Verified, decision, http_signature};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Nothing in these tests takes longer, except by a defect.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// A relay that listens on a port of its own, with a folder of its own.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Arc<Relay>,
    /// What each connection begins with, before TLS and HTTP.
    pub(crate) announce: Vec<u8>,
    folder: Option<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn decode<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(&self) -> T {
        assert!(self.status < 300, "{} {}", self.status, String::from_utf8_lossy(&self.body));
        protocol::cbor::decode("answer", &self.body, usize::MAX).unwrap()
    }
}

impl House {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open(tempfile::tempdir().unwrap(), None, change).await
    }

    pub(crate) async fn start_tls(certificates: Arc<Certificates>) -> Self {
        Self::open(tempfile::tempdir().unwrap(), Some(certificates), |_| {}).await
    }

    async fn open(folder: TempDir, tls: Option<Arc<Certificates>>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { data: folder.path().to_owned(), ..Config::default() };
        // The suite writes to a disk that it throws away.
        config.synchronous = Synchronous::Off;
        change(&mut config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Clock::start();
        let store = Store::open(folder.path(), config.synchronous, clock.now().wall).unwrap();
        let relay = Arc::new(Relay::new(config, origins::of_listener(Scheme::Http, address), clock, store));
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(run(listener, Arc::clone(&relay), tls, shutdown));
        Self { address, relay, announce: Vec::new(), folder: Some(folder), stop: Some(stop), task }
    }

    /// Stops the relay, and says how it ended.
    pub(crate) async fn stop(mut self) -> (TempDir, Drained) {
        self.stop.take().unwrap().send(()).unwrap();
        let drained = tokio::time::timeout(PATIENCE, &mut self.task).await.unwrap().unwrap();
        (self.folder.take().unwrap(), drained)
    }

    /// Stops the relay and starts another one on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let (folder, _) = self.stop().await;
        Self::open(folder, None, |_| {}).await
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn dial(&self, from: IpAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        stream.write_all(&self.announce).await.unwrap();
        stream
    }

    /// Whether the relay answers a connection from an address at all.
    pub(crate) async fn answers(&self, from: IpAddr) -> bool {
        let mut stream = self.dial(from).await;
        let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
        answer.starts_with(b"HTTP/1.1 200")
    }

    /// A connection that stays open.
    pub(crate) async fn connection(&self) -> Connection {
        self.connection_from(IpAddr::from([127, 0, 0, 1])).await
    }

    async fn connection_from(&self, from: IpAddr) -> Connection {
        let stream = TokioIo::new(self.dial(from).await);
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let drive = tokio::spawn(async move {
            let _ = connection.await;
        });
        Connection { sender, drive, host: self.address }
    }

    async fn send(&self, from: IpAddr, request: http::Request<Full<axum::body::Bytes>>) -> Answer {
        self.connection_from(from).await.send(request).await
    }

    pub(crate) async fn post_from(&self, from: IpAddr, path: &str, body: &[u8]) -> Answer {
        self.send(from, post_request(self.address, path, body)).await
    }

    /// A post as a proxy would hand it on.
    pub(crate) async fn post_forwarded(&self, path: &str, body: &[u8], forwarded_for: &str) -> Answer {
        let request = http::Request::post(path)
            .header("host", self.address.to_string())
            .header("x-forwarded-for", forwarded_for)
            .body(Full::new(body.to_vec().into()))
            .unwrap();
        self.send(IpAddr::from([127, 0, 0, 1]), request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.post_from(IpAddr::from([127, 0, 0, 1]), path, body).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = http::Request::get(path).header("host", "evil.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(IpAddr::from([127, 0, 0, 1]), request.body(Full::default()).unwrap()).await
    }

    /// A read that a device signed.
    pub(crate) async fn read(&self, keys: &DeviceKeys, path: &str) -> Answer {
        let now = self.relay.now().wall / 1000;
        let target = format!("{}{path}", self.origin());
        let signed = http_signature::sign(&keys.signing, "GET", &target, now, Random::draw(&mut rng()));
        self.get(path, &[("signature-input", &signed.input), ("signature", &signed.signature)]).await
    }

    pub(crate) async fn append(&self, entry: &Verified<Entry>) -> Answer {
        self.append_as(&[entry], wire::Purpose::New).await
    }

    pub(crate) async fn append_as(&self, entries: &[&Verified<Entry>], purpose: wire::Purpose) -> Answer {
        let entries = entries.iter().map(|entry| entry.bytes().to_vec().into()).collect();
        self.post("/v1/log", &protocol::cbor::encode(&wire::Append { entries, purpose })).await
    }

    /// A WebSocket after its challenge, with nothing answered yet.
    pub(crate) async fn socket(&self) -> (Socket, wire::Challenge) {
        let mut request = format!("ws://{}/v1/socket", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
        let stream = self.dial(IpAddr::from([127, 0, 0, 1])).await;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let mut socket = Socket(socket);
        match socket.next().await {
            ToDevice::Challenge(challenge) => (socket, challenge),
            other => panic!("expected a challenge, got {other:?}"),
        }
    }
}

/// A device's end of an HTTP connection.
pub(crate) struct Connection {
    sender: hyper::client::conn::http1::SendRequest<Full<axum::body::Bytes>>,
    drive: JoinHandle<()>,
    host: SocketAddr,
}

impl Connection {
    async fn send(&mut self, request: http::Request<Full<axum::body::Bytes>>) -> Answer {
        let response = tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await.unwrap().unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, headers, body }
    }

    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.send(post_request(self.host, path, body)).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.drive.abort();
    }
}

fn post_request(host: SocketAddr, path: &str, body: &[u8]) -> http::Request<Full<axum::body::Bytes>> {
    http::Request::post(path)
        .header("host", host.to_string())
        .header("content-type", wire::MEDIA_TYPE)
        .body(Full::new(body.to_vec().into()))
        .unwrap()
}

/// A device's end of a WebSocket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn frame(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message in time");
            match next.unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    pub(crate) async fn next(&mut self) -> ToDevice {
        match self.frame().await {
            Message::Binary(bytes) => ToDevice::from_bytes(&bytes).unwrap(),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next message, acknowledged if it is one that is.
    pub(crate) async fn next_acknowledged(&mut self) -> ToDevice {
        let message = self.next().await;
        if matches!(message, ToDevice::Entries(_) | ToDevice::Records(_)) {
            let ack = FromDevice::Ack(wire::Ack { seq: 0, number: 0 });
            self.send(&ack.to_bytes()).await;
        }
        message
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    /// Reads until the relay closes, and returns code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.frame().await {
                let frame = frame.unwrap();
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }
}

/// A member with everything it holds.
pub(crate) struct Member {
    pub(crate) keys: DeviceKeys,
    pub(crate) roster: Roster,
    pub(crate) keyring: Keyring,
    pub(crate) line: protocol::record::Line,
}

/// A device that asks.
pub(crate) struct Joiner {
    pub(crate) keys: DeviceKeys,
    pub(crate) request: Verified<JoinRequest>,
    pub(crate) description: Blob,
    pub(crate) rounds: JoinerRounds,
}

pub(crate) fn description(name: &str) -> Description {
    Description { name: name.into(), platform: "test".into(), version: "0".into(), totp: None }
}

/// A founding entry and its member, not sent yet.
pub(crate) fn founding(policy: Policy) -> (Founding, Member) {
    let keys = DeviceKeys::draw(&mut rng());
    let founding = protocol::entry::found(&keys, &description("laptop"), policy, None, 1, &mut rng()).unwrap();
    let roster = Roster::found(&founding.entry).unwrap();
    let keyring = Keyring::open(&roster, founding.epoch_key.clone()).unwrap();
    (founding, Member { keys, roster, keyring, line: Default::default() })
}

impl Member {
    /// Founds a chain at the relay.
    pub(crate) async fn founds(house: &House) -> Self {
        Self::founds_with(house, Policy::default()).await
    }

    pub(crate) async fn founds_with(house: &House, policy: Policy) -> Self {
        let (founding, member) = founding(policy);
        let answer = house.post("/v1/chains", founding.entry.bytes()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        member
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.roster.chain()
    }

    pub(crate) fn acting(&self) -> Acting<'_> {
        Acting { keys: &self.keys, roster: &self.roster, keyring: &self.keyring }
    }

    pub(crate) fn nonce(&self, request: RequestId, round: u8) -> Verified<Nonce> {
        let (head, epoch) = (self.roster.head(), self.roster.epoch());
        let nonce = Random::draw(&mut rng());
        let form = Nonce { version: VERSION, chain: self.chain(), request, round, head, epoch, nonce };
        Verified::sign(form, &self.keys.signing, &[]).unwrap()
    }

    /// The admit of a joiner whose code was typed right.
    pub(crate) fn admits(
        &self,
        joiner: &Joiner,
        nonce: &Verified<Nonce>,
        reveal: &Verified<Reveal>,
        code: &str,
    ) -> Verified<Entry> {
        let prompt = Prompt::new(joiner.request.clone(), nonce.clone(), reveal).unwrap();
        let Attempt::Right(confirmed) = prompt.type_code(code) else { panic!("a wrong code") };
        let described = description("phone");
        decision::admit(self.acting(), &confirmed, &described, Role::Approver, 2, &mut rng()).unwrap()
    }

    pub(crate) fn denies(&self, joiner: &Joiner, block: u32) -> Verified<Entry> {
        let request = (joiner.request.id(), joiner.keys.id());
        decision::deny(&self.roster, &self.keys, request, DenyReason::Denied, block, 2).unwrap()
    }

    pub(crate) fn follows(&mut self, entry: &Verified<Entry>) {
        self.roster = self.roster.clone().apply(entry).unwrap();
    }

    /// The next record of this device's line.
    pub(crate) fn writes(&mut self, id: &str, value: Option<&[u8]>, base: Option<Hash>) -> wire::SealedRecord {
        let draft = protocol::record::Draft { collection: "notes", id, value, base, at: 3 };
        let (record, ciphertext) = protocol::record::write(self.acting(), self.line, &draft, &mut rng()).unwrap();
        self.line = self.line.follow(&record).unwrap();
        wire::SealedRecord { record: record.bytes().to_vec().into(), ciphertext }
    }

    pub(crate) async fn connects(&self, house: &House, cursor: Option<Cursor>) -> Socket {
        let mut socket = self.says_connect(house, self.roster.head(), cursor).await;
        assert!(matches!(socket.next().await, ToDevice::Ready(ready) if ready.knows_your_head));
        socket
    }

    pub(crate) async fn says_connect(&self, house: &House, head: Hash, cursor: Option<Cursor>) -> Socket {
        let (mut socket, challenge) = house.socket().await;
        let form = Connect {
            version: VERSION,
            offered: vec![SUBPROTOCOL.into()],
            origin: house.origin(),
            relay_nonce: challenge.nonce,
            own_nonce: Random::draw(&mut rng()),
            chain: Some(self.chain()),
            device: self.keys.id(),
            standing: Standing::Member,
            request: None,
            head: Some(head),
            cursor,
        };
        socket.send(Verified::sign(form, &self.keys.signing, &[]).unwrap().bytes()).await;
        socket
    }
}

impl Joiner {
    pub(crate) fn new(code: &SyncCode) -> Self {
        let keys = DeviceKeys::draw(&mut rng());
        let description = description("phone").seal(code, &keys.id(), &mut rng()).unwrap();
        let commitments = Commitments::draw(&mut rng());
        let request = JoinRequest::sign(code, &keys, &description, commitments.public(), 1).unwrap();
        let rounds = JoinerRounds::new(request.clone(), commitments);
        Self { keys, request, description, rounds }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.request.id()
    }

    pub(crate) fn ask_bytes(&self) -> Vec<u8> {
        let request = self.request.bytes().to_vec().into();
        protocol::cbor::encode(&wire::Ask { request, description: self.description.clone() })
    }

    pub(crate) async fn asks(&self, house: &House) -> Answer {
        house.post("/v1/requests", &self.ask_bytes()).await
    }

    pub(crate) async fn asks_from(&self, house: &House, last: u8) -> Answer {
        house.post_from(IpAddr::from([127, 0, 0, last]), "/v1/requests", &self.ask_bytes()).await
    }

    pub(crate) fn withdrawal(&self) -> Verified<Withdrawal> {
        Verified::sign(Withdrawal { version: VERSION, request: self.id() }, &self.keys.signing, &[]).unwrap()
    }

    pub(crate) async fn standing(&self, house: &House) -> wire::Standing {
        house.read(&self.keys, &format!("/v1/requests/{}", self.id())).await.decode()
    }

    pub(crate) async fn connects(&self, house: &House) -> Socket {
        let (mut socket, challenge) = house.socket().await;
        let form = Connect {
            version: VERSION,
            offered: vec![SUBPROTOCOL.into()],
            origin: house.origin(),
            relay_nonce: challenge.nonce,
            own_nonce: Random::draw(&mut rng()),
            chain: None,
            device: self.keys.id(),
            standing: Standing::Joiner,
            request: Some(self.id()),
            head: None,
            cursor: None,
        };
        socket.send(Verified::sign(form, &self.keys.signing, &[]).unwrap().bytes()).await;
        socket
    }
}

/// A laptop that founded a chain, and a phone that is admitted over the whole way.
pub(crate) async fn admitted(house: &House, laptop: &mut Member) -> Joiner {
    let mut phone = Joiner::new(laptop.keyring.code());
    assert_eq!(phone.asks(house).await.status, 202);
    let nonce = laptop.nonce(phone.id(), 1);
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.status, 200);
    let answer = phone.rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    let admit = laptop.admits(&phone, &nonce, &answer.reveal, &answer.code.digits());
    assert_eq!(house.append(&admit).await.status, 200);
    laptop.follows(&admit);
    phone
}
