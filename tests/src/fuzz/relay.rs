//! Whatever reaches the relay, in whatever order: posts of every form, reads, sockets, restarts, and time that passes.
//!
//! The bytes are read as a list of operations by a few devices of three chains: honest ones, broken ones, replayed ones, forms of one
//! chain sent to another. They go to the real relay, in this process, and to [`book::Book`], a small relay of lists. Promises:
//!
//! - the relay takes what the book takes, refuses what it refuses by the same code, and answers and serves the same, after a restart
//!   as before, also where time has carried out a reset, or one branch of a fork took the place of the other;
//! - what it serves verifies from the founding entry on, entry by entry and record by record, by the protocol crate alone;
//! - nobody but members reads a chain, nobody but its device a request; a denied request looks as if nobody had looked at it;
//! - every refusal is one that `docs/protocol.md` names, none is a defect, and the same bytes get the same answer.

mod answer;
mod book;
mod cast;
mod house;
mod posts;
mod forms;
mod rotations;
mod subjects;
mod acts;
mod wishes;
mod branches;
mod writes;
mod reads;
mod asked_for;
mod served;
mod client;
mod told;
mod connects;
mod sockets;

use std::net::IpAddr;

use protocol::Verified;
use protocol::approval::Approval;
use protocol::entry::Entry;
use protocol::id::{Hash, KeyId, Random};
use protocol::keys::EpochKey;
use protocol::round::Nonce;
use rand_core::Rng as _;

use self::book::{Book, Route};
use self::branches::Branch;
use self::cast::{Cast, Chain, cast};
use self::client::Client;
use self::house::House;
use super::{Choices, seeded};

/// Operations of one run. Longer ones find little more, and take longer.
const STEPS_MAX: usize = 48;
/// Milliseconds that may pass in one step: nothing much, about a lifetime, a day and more.
const SPANS: [u64; 8] = [1, 1_000, 59_999, 60_000, 899_999, 900_000, 86_399_999, 700_000_000];

/// The relay, what it must be like, and what was signed so far.
struct World {
    cast: &'static Cast,
    house: House,
    book: Book,
    rng: chacha20::ChaCha20Rng,
    nonces: Vec<Verified<Nonce>>,
    entries: Vec<Verified<Entry>>,
    approvals: Vec<Verified<Approval>>,
    /// The reset that was signed last.
    reset: Option<Hash>,
    /// The key of every epoch that anybody began.
    epoch_keys: Vec<(KeyId, EpochKey)>,
    branch: Option<Branch>,
    sent: Vec<(Route, Vec<u8>, IpAddr)>,
    clients: Vec<Client>,
}

impl World {
    fn new() -> Self {
        let cast = cast();
        Self {
            cast,
            house: House::new(),
            book: Book::default(),
            rng: seeded("what devices draw"),
            nonces: Vec::new(),
            entries: cast.chains.iter().map(|chain| chain.entry.clone()).collect(),
            approvals: Vec::new(),
            reset: None,
            epoch_keys: cast.chains.iter().map(Chain::epoch_key).collect(),
            branch: None,
            sent: Vec::new(),
            clients: Vec::new(),
        }
    }

    fn random(&mut self) -> Random {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        Random(bytes)
    }

    /// One operation; `None` once the bytes are used up.
    fn step(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        match choices.next()? % 22 {
            0 => self.founds(choices.next()?),
            1 => self.asks(choices.next()?, choices.next()?),
            2 => self.withdraws(choices.next()?, choices.next()?),
            3 => self.opens(choices.next()?, choices.next()?, choices.next()?),
            4 => self.reveals(choices.next()?, choices.next()?),
            5 => self.decides(choices.next()?, choices.next()?, choices.next()?),
            6 => self.appends(choices),
            7 => self.writes(choices.next()?, choices.next()?, choices.next()?),
            8 => self.reads(choices.next()?, choices.next()?, choices.next()?),
            9 => self.sends_again(choices.next()?, choices.next()?, choices.next()?),
            10 => self.sends_bytes(choices),
            11 => self.waits(choices.next()?),
            12 => self.restarts(),
            13 => self.connects(choices.next()?, choices.next()?, choices.next()?),
            14 => self.says(choices.next()?, choices.next()?),
            15 => self.hears(choices.next()?),
            16 => self.acts(choices.next()?, choices.next()?, choices.next()?, choices.next()?),
            17 => self.approves(choices.next()?, choices.next()?, choices.next()?, choices.next()?),
            18 => self.wants_reset(choices.next()?, choices.next()?),
            19 => self.forks(choices.next()?, choices.next()?, choices.next()?, choices.next()?),
            20 => self.ends_fork(choices.next()?, choices.next()?, choices.next()?),
            _ => self.asks_for(choices.next()?, choices.next()?),
        }
        Some(())
    }

    /// Time passes, or the machine's clock is set.
    fn waits(&mut self, how: u8) {
        let span = SPANS[usize::from(how % 8)];
        let signed = i64::try_from(span).expect("some days");
        match how / 8 % 4 {
            2 => self.house.sets_clock(signed),
            3 => self.house.sets_clock(-signed),
            _ => self.house.pass(span),
        }
        self.ticks();
    }

    /// Another relay takes over the store.
    fn restarts(&mut self) {
        let mut clients = std::mem::take(&mut self.clients);
        let before = self.house.now();
        self.house.stop(async {
            for client in &mut clients {
                client.is_told_of_a_restart().await;
            }
        });
        drop(clients);
        self.house.start();
        self.book.restarts(before, self.house.now());
        self.ticks();
        self.check_served();
    }
}

/// Plays a sequence of operations.
pub fn relay(data: &[u8]) {
    let mut world = World::new();
    let mut choices = Choices(data);
    for _ in 0..STEPS_MAX {
        if world.step(&mut choices).is_none() {
            break;
        }
    }
    world.settles();
    world.check_served();
}
