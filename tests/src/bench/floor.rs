//! What the machine can do at all, now: the floors that every figure stands beside.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use protocol::keys::SealingSecret;
use protocol::seal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Bench;
use super::bare::Log;
use super::clock::Start;
use super::dial::Place;
use super::figure::Aim;
use super::spread::{Times, each, float};
use crate::actor::rng;

/// The address of the benchmark's own clients of the bare servers.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One measurement of the floors. Times in microseconds, each of one core.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    pub(super) verify: f64,
    pub(super) sign: f64,
    pub(super) seal: f64,
    pub(super) open: f64,
    /// One durable commit, p50.
    pub(super) commit: f64,
    /// One POST of 500 bytes without a check, p50.
    pub(super) post: f64,
    pub(super) post_p99: f64,
    /// One byte there and back.
    pub(super) ping: f64,
    /// Strict verifications a second on all cores at once.
    pub(super) verified_on_all: f64,
}

impl Floor {
    /// Takes about half a second.
    pub(super) async fn measure(bench: &Bench) -> Self {
        let (bare, file) = (Place::bare(bench.bare.http), bench.folder.path().join("floor.log"));
        let crypto = tokio::task::spawn_blocking(move || {
            let log = Log::open(file);
            let commits = Times::of((0..200).map(|_| timed(|| log.commit(1))).collect());
            (Crypto::measure(), verified_on_all(), commits.p50())
        });
        let (crypto, verified_on_all, commit) = crypto.await.expect("the measurement");
        let posts = posts(&bare, 2000).await;
        let ping = pings(bench.bare.echo, 2000).await.p50();
        let Crypto { verify, sign, seal, open } = crypto;
        Self { verify, sign, seal, open, commit, post: posts.p50(), post_p99: posts.p99(), ping, verified_on_all }
    }

    /// Between a measurement before and one after.
    pub(super) fn between(self, other: Self) -> Self {
        let mean = |field: fn(&Self) -> f64| f64::midpoint(field(&self), field(&other));
        Self {
            verify: mean(|floor| floor.verify),
            sign: mean(|floor| floor.sign),
            seal: mean(|floor| floor.seal),
            open: mean(|floor| floor.open),
            commit: mean(|floor| floor.commit),
            post: mean(|floor| floor.post),
            post_p99: mean(|floor| floor.post_p99),
            ping: mean(|floor| floor.ping),
            verified_on_all: mean(|floor| floor.verified_on_all),
        }
    }

    /// Cryptography that a whole join cannot do without, over the three parties: five signatures are made (request, proof of the
    /// sync code, nonce, reveal, entry), ten verified (five by the relay, three by the approver, two by the joiner), one epoch
    /// key sealed and opened.
    pub(super) fn join_crypto(&self) -> f64 {
        5.0 * self.sign + 10.0 * self.verify + self.seal + self.open
    }
}

fn timed(job: impl FnOnce()) -> f64 {
    let start = Start::now();
    job();
    start.micros()
}

/// The least of several runs: what else ran on the core only ever adds.
fn least(runs: usize, each: u32, mut job: impl FnMut()) -> f64 {
    let run = |_| timed(|| (0..each).for_each(|_| job())) / f64::from(each);
    (0..runs).map(run).fold(f64::INFINITY, f64::min)
}

struct Crypto {
    verify: f64,
    sign: f64,
    seal: f64,
    open: f64,
}

impl Crypto {
    fn measure() -> Self {
        let (key, message) = (SigningKey::from_bytes(&[7; 32]), [7; 300]);
        let (public, signature) = (key.verifying_key(), key.sign(&message));
        let secret = SealingSecret::draw(&mut rng());
        let sealed = seal::seal_to(&secret.public(), b"info", b"aad", &[7; 32], &mut rng()).expect("a seal");
        Self {
            verify: least(8, 200, || public.verify_strict(&message, &signature).expect("our own")),
            sign: least(8, 200, || {
                std::hint::black_box(key.sign(std::hint::black_box(&message)));
            }),
            seal: least(8, 50, || {
                seal::seal_to(&secret.public(), b"info", b"aad", &[7; 32], &mut rng()).expect("a seal");
            }),
            open: least(8, 50, || drop(seal::open_with(&secret, b"info", b"aad", &sealed).expect("what was sealed"))),
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn verified_on_all() -> f64 {
    const EACH: u32 = 3000;
    let start = Start::now();
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                let key = SigningKey::from_bytes(&[7; 32]);
                let (public, signature) = (key.verifying_key(), key.sign(&[7; 300]));
                (0..EACH).for_each(|_| public.verify_strict(&[7; 300], &signature).expect("our own"));
            });
        }
    });
    float(cores()) * f64::from(EACH) / start.seconds()
}

async fn posts(place: &Place, count: usize) -> Times {
    let mut http = place.http(HERE).await;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Start::now();
        http.post("/", vec![7; 500]).await;
        times.push(start.micros());
    }
    Times::of(times)
}

async fn pings(port: u16, count: usize) -> Times {
    let mut stream = tokio::net::TcpStream::connect((HERE, port)).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Start::now();
        stream.write_all(&[7]).await.expect("a byte");
        stream.read_exact(&mut [0]).await.expect("the byte back");
        times.push(start.micros());
    }
    Times::of(times)
}

/// Posts a second of a bare server from so many connections: `/` without work, `/verify`, `/sync`, `/both`.
pub(super) async fn bare_rate(bench: &Bench, path: &'static str, connections: usize, each_posts: usize) -> f64 {
    let place = Place::bare(bench.bare.http);
    let mut lines = Vec::new();
    for _ in 0..connections {
        lines.push(place.http(HERE).await);
    }
    let body = Bytes::from(vec![7; 500]);
    let start = Start::now();
    each(lines, connections, move |mut http| {
        let body = body.clone();
        async move {
            for _ in 0..each_posts {
                http.post(path, body.clone()).await;
            }
        }
    })
    .await;
    float(connections * each_posts) / start.seconds()
}

/// How many whole joins a second the cores can do at most, with so many at once: the cryptography, and four durable posts each.
pub(super) async fn joins_rate(bench: &Bench, floor: Floor, at_once: usize) -> f64 {
    let posts = bare_rate(bench, "/sync", at_once, 100).await;
    1.0 / (floor.join_crypto() / 1e6 / float(cores()) + 4.0 / posts)
}

pub(super) async fn run(bench: &mut Bench) {
    let floor = Floor::measure(bench).await;
    bench.table.section("What the machine can do (one core, one at a time, unless said otherwise)");
    let mut add = |name: &str, value, unit| bench.table.plain(name, value, unit, Aim::None);
    add("Ed25519 verify_strict, parsed key", 1e6 / floor.verify, "/s");
    add("Ed25519 verify_strict, all cores", floor.verified_on_all, "/s");
    add("Ed25519 sign", 1e6 / floor.sign, "/s");
    add("HPKE seal", 1e6 / floor.seal, "/s");
    add("HPKE open", 1e6 / floor.open, "/s");
    add("durable commit (write, fdatasync), p50", floor.commit, "us");
    add("HTTP POST of 500 B there and back, p50", floor.post, "us");
    add("HTTP POST of 500 B there and back, p99", floor.post_p99, "us");
    add("loopback, one byte there and back, p50", floor.ping, "us");
    for (path, name) in [("/", "without a check"), ("/verify", "with verify_strict"), ("/both", "with verify and sync")]
    {
        let rate = bare_rate(bench, path, 64, bench.options.rounds(500)).await;
        bench.table.plain(format!("bare hyper, 64 connections, {name}"), rate, "/s", Aim::None);
    }
}
