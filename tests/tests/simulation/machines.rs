//! The simulated machines: what runs on each, and the desk in front of it, at which a person gives orders and reads answers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use countersign::simulation::{self, Failed, Member, Shown};
use countersign_relay::clock::Clock;
use countersign_relay::config::Config;
use countersign_relay::rates::{Rate, RatesConfig};
use countersign_relay::relay::Relay;
use countersign_relay::run::run;
use countersign_relay::store::{Store, Synchronous};
use countersign_relay::stream::TcpListener;
use protocol::RequestId;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::people::{self, Errand};

pub(crate) const RELAY: &str = "http://relay:7370";

/// What became of an errand.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) number: u64,
    pub(crate) result: Result<String, Failed>,
}

/// What a device's person sees and says.
pub(crate) struct Desk {
    pub(crate) name: String,
    folder: PathBuf,
    /// Homes so far: a device that is started over is another one.
    lives: Cell<u64>,
    errands: RefCell<VecDeque<(u64, Errand)>>,
    rung: Notify,
    /// The member at work here, as long as it runs.
    pub(crate) member: RefCell<Option<Member>>,
    /// Why its session ended for good.
    pub(crate) ended: RefCell<Option<Failed>>,
    /// The request that it joins with, and the check code on its screen.
    pub(crate) asked: RefCell<Option<RequestId>>,
    pub(crate) code: RefCell<Option<String>>,
    pub(crate) outcomes: RefCell<Vec<Outcome>>,
}

impl Desk {
    pub(crate) fn new(folder: &Path, name: &str) -> Rc<Self> {
        Rc::new(Self {
            name: name.to_owned(),
            folder: folder.join(name),
            lives: Cell::new(0),
            errands: RefCell::default(),
            rung: Notify::new(),
            member: RefCell::default(),
            ended: RefCell::default(),
            asked: RefCell::default(),
            code: RefCell::default(),
            outcomes: RefCell::default(),
        })
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join(self.lives.get().to_string())
    }

    pub(crate) fn send(&self, number: u64, errand: Errand) {
        self.errands.borrow_mut().push_back((number, errand));
        self.rung.notify_one();
    }

    async fn next(&self) -> (u64, Errand) {
        loop {
            let next = self.errands.borrow_mut().pop_front();
            match next {
                Some(next) => return next,
                None => self.rung.notified().await,
            }
        }
    }

    /// What a crash leaves of it.
    pub(crate) fn crash(&self) {
        self.errands.borrow_mut().clear();
        *self.member.borrow_mut() = None;
        *self.ended.borrow_mut() = None;
        *self.code.borrow_mut() = None;
    }

    /// Another life, with nothing of the one before.
    pub(crate) fn start_over(&self) {
        self.crash();
        *self.asked.borrow_mut() = None;
        self.lives.set(self.lives.get() + 1);
    }

    fn shows(&self, shown: Shown) {
        match shown {
            Shown::Request(id) => *self.asked.borrow_mut() = Some(id),
            Shown::Code(digits) => *self.code.borrow_mut() = Some(digits),
        }
    }

    fn tells(&self, number: u64, result: Result<String, Failed>) {
        self.outcomes.borrow_mut().push(Outcome { number, result });
    }

    async fn joins(self: &Rc<Self>, words: Option<&str>) -> Result<String, Failed> {
        let seen = |shown| self.shows(shown);
        simulation::join(&self.home(), RELAY, words, &self.name, seen).await.map(|()| "joined".to_owned())
    }
}

/// The software of a device: what it does after each start.
pub(crate) async fn device(desk: Rc<Desk>) -> turmoil::Result {
    // A join that was under way goes on.
    if simulation::kept(&desk.home()).map_err(failed)?.is_some_and(|kept| !kept.is_member) {
        *desk.ended.borrow_mut() = desk.joins(None).await.err();
    }
    loop {
        if desk.home().exists()
            && let Ok(member) = Member::open(&desk.home())
        {
            return works(&desk, member).await;
        }
        match desk.next().await {
            (number, Errand::Begin) => {
                let begun = simulation::begin_chain(&desk.home(), RELAY, &desk.name).await;
                desk.tells(number, begun.map(|()| "founded".to_owned()));
            }
            (number, Errand::Join { words }) => {
                let joined = desk.joins(Some(&words)).await;
                desk.tells(number, joined);
            }
            (number, _) => desk.tells(number, Ok("nobody is there".to_owned())),
        }
    }
}

async fn works(desk: &Rc<Desk>, member: Member) -> turmoil::Result {
    *desk.member.borrow_mut() = Some(member.clone());
    *desk.ended.borrow_mut() = None;
    let mut tasks = JoinSet::new();
    let (session, at) = (member.clone(), Rc::clone(desk));
    tasks.spawn_local(async move {
        let ended = session.keep_session().await;
        *at.ended.borrow_mut() = Some(ended);
    });
    loop {
        tokio::select! {
            Some(done) = tasks.join_next() => done?,
            (number, errand) = desk.next() => {
                let (member, desk) = (member.clone(), Rc::clone(desk));
                tasks.spawn_local(async move {
                    let result = people::run(&member, errand).await;
                    desk.tells(number, result);
                });
            }
        }
    }
}

fn failed(failed: Failed) -> String {
    format!("{failed:?}")
}

/// The software of the relay.
pub(crate) async fn relay(folder: PathBuf) -> turmoil::Result {
    let clock = Clock::start();
    let store = Store::open(&folder, Synchronous::Off, clock.now().wall)?;
    let listener = TcpListener::bind("0.0.0.0:7370").await?;
    // Counted on the machine's own clock, which is not simulated.
    let never = Rate(NonZeroU32::MAX);
    let rates = RatesConfig {
        requests_per_address: never,
        requests_per_join_key: never,
        chains_per_address: never,
        refused_per_address: never,
    };
    let config = Config { data: folder, rates, synchronous: Synchronous::Off, ..Config::default() };
    let relay = Arc::new(Relay::new(config, vec![RELAY.to_owned()], clock, store));
    run(listener, relay, None, std::future::pending()).await;
    Ok(())
}
