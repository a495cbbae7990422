//! From a write to the devices that are told of it, beside a bare hub of tungstenite in the same minutes.

use std::net::{IpAddr, Ipv4Addr};

use protocol::wire::ToDevice;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Bench;
use super::bare::to_range;
use super::child::{Relay, Transport};
use super::clock::Start;
use super::device::{Device, chains};
use super::dial::{Http, Place, Socket};
use super::figure::Aim;
use super::floor::Floor;
use super::spread::{Times, each};

/// Sockets on each side at most: this process has one for each device and one for each client of the hub.
const CROWD_MAX: usize = 9_000;
/// Devices of the large chain.
const LARGE: usize = 100;

pub(super) async fn run(bench: &mut Bench) {
    let crowd = bench.options.devices.min(CROWD_MAX);
    let relay = Relay::start(&bench.folder.path().join("pushes"), Transport::Plain);
    let place = Place::of(&relay);
    let devices = chains(&place, crowd, 1, 0).await;
    let large = chains(&place, 1, LARGE, 0x0010_0000).await;
    let mut ours = Ours::connect(&place, devices, large).await;
    let mut hub = Hub::connect(bench.bare.hub, crowd).await;
    let before = Floor::measure(bench).await;
    let rounds = bench.options.rounds(1000);
    let (mut one, mut one_bare, mut all, mut all_bare) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    for round in 0..rounds {
        // Far from the last one, so that nothing is warm that would not be among so many.
        let target = (round * 7919) % crowd;
        one_bare.push(hub.push(target, target + 1).await);
        one.push(ours.push_to_one(target).await);
        if round % 5 == 0 {
            all_bare.push(hub.push(0, LARGE.min(crowd)).await);
            all.push(ours.push_to_large().await);
        }
    }
    let floor = before.between(Floor::measure(bench).await);
    bench.table.section(&format!("Pushes: from the POST of a signed record to its arrival, {crowd} connected"));
    report(bench, floor, "to one", one, one_bare);
    report(bench, floor, "to 100 of a chain, the last", all, all_bare);
}

fn report(bench: &mut Bench, floor: Floor, name: &str, ours: Vec<f64>, bare: Vec<f64>) {
    let (ours, bare) = (Times::of(ours), Times::of(bare));
    let durable = floor.verify + floor.commit;
    let is = "bare hub at the same percentile, one verification, one commit";
    for percent in [50, 99] {
        let aim = if percent == 99 { Aim::TimesFloorAtMost(1.2) } else { Aim::None };
        let floor = (bare.percentile(percent) + durable, is);
        bench.table.beside(format!("{name}, p{percent}"), (ours.percentile(percent), "us"), floor, aim);
    }
    bench.table.plain(format!("{name}, p99, bare hub (neither checked nor durable)"), bare.p99(), "us", Aim::None);
}

/// Reads to the end, and tells when something arrived.
async fn listen(mut socket: Socket, arrived: mpsc::Sender<Start>, kind: Kind) {
    loop {
        let news = match kind {
            Kind::Relay => matches!(socket.next().await, ToDevice::Records(_)),
            Kind::Hub => !socket.next_bytes().await.is_empty(),
        };
        if news {
            arrived.send(Start::now()).await.expect("the benchmark");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Relay,
    Hub,
}

async fn last_of(count: usize, arrivals: &mut mpsc::Receiver<Start>, start: Start) -> f64 {
    let mut last = 0.0_f64;
    for _ in 0..count {
        last = last.max(arrivals.recv().await.expect("an arrival").micros_after(start));
    }
    last
}

struct Ours {
    devices: Vec<Device>,
    large: Vec<Device>,
    http: Http,
    written: usize,
    arrivals: mpsc::Receiver<Start>,
    _listening: JoinSet<()>,
}

impl Ours {
    async fn connect(place: &Place, devices: Vec<Device>, large: Vec<Device>) -> Self {
        let all = [devices.clone(), large.clone()].concat();
        let dialled = place.clone();
        let sockets = each(all, 16, move |device| {
            let place = dialled.clone();
            async move { Box::pin(device.connects(&place)).await }
        });
        let (arrived, arrivals) = mpsc::channel(1024);
        let listening = sockets.await.into_iter().map(|socket| listen(socket, arrived.clone(), Kind::Relay)).collect();
        let http = place.http(IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        Self { devices, large, http, written: 0, arrivals, _listening: listening }
    }

    async fn push_to_one(&mut self, target: usize) -> f64 {
        self.written += 1;
        let body = self.devices[target].puts(self.written, 1);
        let start = Start::now();
        let last = last_of(1, &mut self.arrivals, start);
        tokio::join!(self.http.post("/v1/records", body), last).1
    }

    async fn push_to_large(&mut self) -> f64 {
        self.written += 1;
        let body = self.large[0].puts(self.written, 1);
        let start = Start::now();
        let last = last_of(LARGE, &mut self.arrivals, start);
        tokio::join!(self.http.post("/v1/records", body), last).1
    }
}

struct Hub {
    control: Socket,
    content: Vec<u8>,
    arrivals: mpsc::Receiver<Start>,
    _listening: JoinSet<()>,
}

impl Hub {
    async fn connect(port: u16, count: usize) -> Self {
        let place = Place::bare(port);
        let numbers: Vec<u32> = (0..u32::try_from(count).expect("a few")).chain([u32::MAX]).collect();
        let sockets = each(numbers, 16, move |number| {
            let place = place.clone();
            async move {
                let mut socket = Box::pin(place.socket_to_hub(super::dial::address_of(number))).await;
                socket.send(&number.to_be_bytes()).await;
                assert_eq!(&*socket.next_bytes().await, b"ready");
                (number, socket)
            }
        });
        let mut sockets = sockets.await;
        let at = sockets.iter().position(|(number, _)| *number == u32::MAX).expect("the control socket");
        let (_, control) = sockets.swap_remove(at);
        let (arrived, arrivals) = mpsc::channel(1024);
        let listening = sockets.into_iter().map(|(_, socket)| listen(socket, arrived.clone(), Kind::Hub)).collect();
        // As many bytes as a page with one record.
        Self { control, content: vec![7; 700], arrivals, _listening: listening }
    }

    async fn push(&mut self, first: usize, end: usize) -> f64 {
        let number = |index| u32::try_from(index).expect("a few");
        let message = to_range(number(first), number(end), &self.content);
        let start = Start::now();
        self.control.send(&message).await;
        last_of(end - first, &mut self.arrivals, start).await
    }
}
