//! The child without Countersign: hyper and tungstenite doing the least that the relay's work could be.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;

use super::child::{Process, beside};
use super::dial::small;

/// The child, seen from the benchmark.
pub(super) struct Bare {
    pub(super) http: u16,
    pub(super) hub: u16,
    pub(super) echo: u16,
    _process: Process,
}

impl Bare {
    pub(super) fn start(folder: &Path) -> Self {
        let mut command = Command::new(beside("bench"));
        command.arg("bare").current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let ports = process.ports();
        let [http, hub, echo] = ports[..] else { panic!("three ports, not {ports:?}") };
        Self { http, hub, echo, _process: process }
    }
}

/// The child's life: until its standard input ends.
pub(super) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (http, hub, echo) = tokio::join!(listen(), listen(), listen());
        let (http, hub, echo) = (http.expect("a port"), hub.expect("a port"), echo.expect("a port"));
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        super::figure::say(&format!("bare :{} :{} :{}", port(&http), port(&hub), port(&echo)));
        let work = Arc::new(Work::start());
        let clients: Arc<Hub> = Arc::default();
        tokio::select! {
            () = accept(http, move |stream| answer(stream, Arc::clone(&work))) => {}
            () = accept(hub, move |stream| member(stream, Arc::clone(&clients))) => {}
            () = accept(echo, reflect) => {}
            _ = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])) => {}
        }
    });
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

async fn accept<F: Future<Output = ()> + Send + 'static>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("no delay");
            tokio::spawn(serve(stream));
        }
    }
}

async fn reflect(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).await.is_ok() && stream.write_all(&byte).await.is_ok() {}
}

/// What a path asks for: `/verify` one strict verification, `/sync` one durable write, `/both` both, else nothing.
struct Work {
    key: VerifyingKey,
    signature: Signature,
    writer: std::sync::mpsc::SyncSender<oneshot::Sender<()>>,
}

/// A record's header is about this long.
const MESSAGE: [u8; 300] = [7; 300];

impl Work {
    fn start() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (writer, jobs) = std::sync::mpsc::sync_channel::<oneshot::Sender<()>>(1024);
        std::thread::spawn(move || {
            let log = Log::open("bare.log".into());
            while let Ok(first) = jobs.recv() {
                let group: Vec<_> = std::iter::once(first).chain(jobs.try_iter().take(511)).collect();
                log.commit(group.len());
                for job in group {
                    let _ = job.send(());
                }
            }
        });
        Self { key: key.verifying_key(), signature: key.sign(&MESSAGE), writer }
    }

    async fn perform(&self, path: &str) {
        if matches!(path, "/verify" | "/both") {
            self.key.verify_strict(&MESSAGE, &self.signature).expect("our own signature");
        }
        if matches!(path, "/sync" | "/both") {
            let (sender, receiver) = oneshot::channel();
            self.writer.send(sender).expect("the writer");
            receiver.await.expect("a commit");
        }
    }
}

/// The least that durable can mean: a file that is appended to and synced.
pub(super) struct Log(File);

impl Log {
    pub(super) fn open(path: PathBuf) -> Self {
        Self(File::options().create(true).append(true).open(path).expect("a file"))
    }

    pub(super) fn commit(&self, records: usize) {
        (&self.0).write_all(&MESSAGE.repeat(records)).and_then(|()| self.0.sync_data()).expect("a durable write");
    }
}

async fn answer(stream: TcpStream, work: Arc<Work>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let work = Arc::clone(&work);
        async move {
            let path = request.uri().path().to_owned();
            request.into_body().collect().await?;
            work.perform(&path).await;
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(&[0; 32]))))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Who is connected to the hub, by the number that it named.
#[derive(Default)]
struct Hub(Mutex<HashMap<u32, mpsc::Sender<Bytes>>>);

/// A message to the numbers of a range: first, one past the last, and what is sent.
pub(super) fn to_range(first: u32, end: u32, content: &[u8]) -> Vec<u8> {
    [&first.to_be_bytes()[..], &end.to_be_bytes(), content].concat()
}

impl Hub {
    fn forward(&self, message: &Bytes) -> Option<()> {
        let (first, rest) = message.split_first_chunk::<4>()?;
        let (end, _) = rest.split_first_chunk::<4>()?;
        let connected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for number in u32::from_be_bytes(*first)..u32::from_be_bytes(*end) {
            let _ = connected.get(&number)?.try_send(message.slice(8..));
        }
        Some(())
    }
}

/// One client of the hub: its first message is its number, each later one goes to a range of numbers.
async fn member(stream: TcpStream, hub: Arc<Hub>) {
    let Ok(mut socket) = Box::pin(accept_async_with_config(stream, Some(small()))).await else { return };
    let Some(Ok(Message::Binary(hello))) = socket.next().await else { return };
    let Some((number, _)) = hello.split_first_chunk::<4>() else { return };
    let (sender, mut queue) = mpsc::channel(8);
    hub.0.lock().unwrap_or_else(PoisonError::into_inner).insert(u32::from_be_bytes(*number), sender);
    // So that the client knows that it can be reached.
    let mut open = socket.send(Message::Binary(Bytes::from_static(b"ready"))).await.is_ok();
    while open {
        open = tokio::select! {
            Some(bytes) = queue.recv() => socket.send(Message::Binary(bytes)).await.is_ok(),
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => { hub.forward(&bytes); true }
                Some(Ok(_)) => true,
                _ => false,
            },
        };
    }
}
