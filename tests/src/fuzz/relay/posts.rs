//! Posts: each goes to the relay and to the book, and both must agree.

use std::net::IpAddr;

use protocol::cbor::{self, Blob};
use protocol::wire::{Append, Appended, Purpose, ResetStanding, Standing, Stored};

use super::World;
use super::answer::Answer;
use super::book::{Refused, Route, Said};
use crate::fuzz::Choices;

/// Bodies kept for being sent again.
const SENT_MAX: usize = 64;
/// Bytes of a body that the input gives whole.
const RAW_MAX: usize = 1024;

/// One of a few addresses.
fn address(byte: u8) -> IpAddr {
    match byte % 4 {
        3 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        last => IpAddr::from([192, 0, 2, 1 + last]),
    }
}

/// Compares a refusal with what the book says.
pub(super) fn compare_refused(what: impl std::fmt::Debug, expected: &Refused, answer: &Answer) {
    assert_eq!(answer.code.as_deref(), Some(expected.code), "{what:?}: {}", answer.problem);
    for (name, value) in &expected.more {
        assert_eq!(answer.problem[*name], *value, "{what:?}: {name} of {}", expected.code);
    }
}

impl World {
    /// Posts bytes, and compares what becomes of them.
    pub(super) fn post(&mut self, route: Route, bytes: Vec<u8>, from: IpAddr) -> Answer {
        let expected = self.book.post(route, &bytes, from, self.house.now());
        let answer = self.house.post(route.path(), &bytes, from);
        match &expected {
            Ok(said) => {
                let status = (answer.status, answer.code.as_deref());
                assert_eq!(status, (route.success(), None), "{route:?} must be taken, with {said:?}");
                self.compare(route, said, &answer);
            }
            Err(refused) => compare_refused(route, refused, &answer),
        }
        if self.sent.len() < SENT_MAX {
            self.sent.push((route, bytes, from));
        }
        self.ticks();
        answer
    }

    /// Does what time asks for. The relay does so by itself, now and then.
    pub(super) fn ticks(&mut self) {
        self.house.tick();
        self.book.tick(self.house.now());
        let mut clients = std::mem::take(&mut self.clients);
        clients.iter_mut().for_each(|client| client.may_close.extend(self.endings(client)));
        self.clients = clients;
    }

    fn compare(&self, route: Route, said: &Said, answer: &Answer) {
        match said {
            Said::Nothing => assert!(answer.body.is_empty()),
            Said::Appended(appended) => assert_eq!(answer.cbor::<Appended>(), *appended, "{route:?}"),
            Said::Stored(stored) => assert_eq!(answer.cbor::<Stored>(), *stored),
            Said::Standing(standing) => self.compare_standing(standing, &answer.cbor()),
            Said::Reset(standing) => assert_eq!(answer.cbor::<ResetStanding>(), *standing),
        }
    }

    pub(super) fn compare_standing(&self, expected: &Standing, got: &Standing) {
        // Whoever hung up counts as connected until the relay notices.
        assert!(!got.online || self.house.was_dialled(), "nobody connected");
        assert_eq!(Standing { online: false, ..got.clone() }, *expected);
    }

    /// A device that posts from where it always is.
    pub(super) fn posts(&mut self, route: Route, bytes: &[u8]) {
        self.post(route, bytes.to_vec(), address(0));
    }

    pub(super) fn founds(&mut self, which: u8) {
        let bytes = self.cast.chain(which).entry.bytes().to_vec();
        self.posts(Route::Chains, &bytes);
    }

    pub(super) fn asks(&mut self, which: u8, from: u8) {
        self.post(Route::Requests, self.cast.asking(which).body.clone(), address(from));
    }

    /// Entries that were signed before, of any chain and in any order.
    pub(super) fn appends(&mut self, choices: &mut Choices<'_>) {
        let Some(how) = choices.next() else { return };
        let purpose = if how & 1 == 0 { Purpose::New } else { Purpose::Heal };
        let mut entries = Vec::new();
        for _ in 0..(how >> 1) % 8 {
            entries.extend(choices.of(&self.entries).map(|entry| Blob(entry.bytes().to_vec())));
        }
        self.posts(Route::Log, &cbor::encode(&Append { entries, purpose }));
    }

    /// The same bytes, or with one changed, or cut, to the same route or to another.
    pub(super) fn sends_again(&mut self, which: u8, how: u8, at: u8) {
        let Some((route, bytes, from)) = Choices(&[which]).of(&self.sent).cloned() else { return };
        let mut changed = bytes.clone();
        // The ends of a form are as near as its middle.
        let at = usize::from(at) * bytes.len() / 256;
        match how % 8 {
            0 => return self.repeats(route, bytes, from),
            1 => changed[at..].first_mut().into_iter().for_each(|byte| *byte ^= 1 << (how >> 5)),
            2 => changed.truncate(at),
            3 => changed.insert(at, how),
            4 => changed.extend_from_slice(&bytes[at..]),
            _ => {
                let other = Route::ALL[usize::from(how >> 3) % Route::ALL.len()];
                return drop(self.post(other, bytes, from));
            }
        }
        self.post(route, changed, from);
    }

    /// The same bytes twice: the second time changes nothing, so the answer is the same, word for word.
    fn repeats(&mut self, route: Route, bytes: Vec<u8>, from: IpAddr) {
        let first = self.post(route, bytes.clone(), from);
        let second = self.post(route, bytes, from);
        assert_eq!((first.status, &first.code), (second.status, &second.code));
        assert!(!first.is_success() || first.body == second.body, "the same bytes get the same answer");
    }

    /// Bytes of the input as they are.
    pub(super) fn sends_bytes(&mut self, choices: &mut Choices<'_>) {
        let (Some(route), Some(length)) = (choices.next(), choices.next()) else { return };
        let bytes = choices.take((usize::from(length) * 4).min(RAW_MAX)).to_vec();
        self.post(Route::ALL[usize::from(route) % Route::ALL.len()], bytes, address(route >> 3));
    }
}
