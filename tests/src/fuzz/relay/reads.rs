//! Signed reads, by whoever signs them, of whatever there is.

use std::net::IpAddr;

use axum::body::Body;
use protocol::keys::DeviceKeys;
use protocol::wire::{LogPage, OpenRequests, RecordPage, RecordRow, Standing};
use protocol::{ChainId, limits};

use super::World;
use super::answer::Answer;
use super::book::{Asked, Chain};

/// Seconds between a device's clock and the relay's, and whether the relay takes the read.
const SKEWS: [(i64, bool); 4] = [(0, true), (60, true), (-60, true), (61, false)];

/// What nobody asks for, and two addresses that answer everybody.
const ODD_PATHS: [&str; 12] = [
    "/readyz",
    "/.well-known/countersign",
    "/",
    "/v1/socket",
    "/v1/log",
    "/v1/chains/%ff/log",
    "/v1/chains/0/records/%c3%28/0",
    "/v1/chains/0/requests?after=1",
    "/v1/chains//records?after=x&after=y",
    "/v1/requests/%00",
    "/v1/requests/%f0%90",
    "/v1/records/..",
];

impl World {
    pub(super) fn reads(&mut self, who: u8, what: u8, how: u8) {
        let keys = self.cast.device(who).keys.clone();
        let chain = ChainId::from(self.cast.chain(how).entry.hash());
        match what % 6 {
            0 => self.reads_log(&keys, &chain, how >> 4),
            1 => self.reads_requests(&keys, &chain),
            2 => self.reads_feed(&keys, &chain, how >> 4),
            3 => self.reads_item(&keys, &chain, usize::from(how >> 4)),
            4 => self.reads_standing(&keys, how),
            _ => self.reads_badly(&keys, &chain, what, how),
        }
    }

    /// A read below a chain: answered to members, and to nobody else, who learn nothing but that.
    fn reads_below(&mut self, keys: &DeviceKeys, chain: &ChainId, path: &str) -> Option<Answer> {
        let answer = self.house.read(keys, &format!("/v1/chains/{chain}{path}"));
        if self.book.is_member(chain, keys) {
            return Some(answer);
        }
        assert_eq!((answer.status, answer.code.as_deref()), (403, Some("not-a-member")), "a stranger reads {path}");
        None
    }

    fn reads_log(&mut self, keys: &DeviceKeys, chain: &ChainId, after: u8) {
        let (query, from) = match after {
            0 => (String::new(), 0),
            after => (format!("?after={}&limit={after}", after - 1), usize::from(after)),
        };
        let Some(answer) = self.reads_below(keys, chain, &format!("/log{query}")) else { return };
        let page: LogPage = answer.cbor();
        let log = self.book.chain(chain).expect("it has members");
        let most = if after == 0 { limits::PAGE_ITEMS_MAX } else { usize::from(after) };
        let expected = log.log.iter().skip(from).take(most).map(|entry| &entry.bytes()[..]);
        assert!(page.entries.iter().map(|entry| &entry[..]).eq(expected), "the log is served as it was taken");
        assert_eq!((page.head, page.seq), (log.roster.head(), log.roster.seq()));
    }

    fn reads_feed(&mut self, keys: &DeviceKeys, chain: &ChainId, after: u8) {
        let store = self.house.store() + u64::from(after >> 3);
        let query = format!("?store={store}&after={after}&limit={}", after + 1);
        let Some(answer) = self.reads_below(keys, chain, &format!("/records{query}")) else { return };
        let page: RecordPage = answer.cbor();
        // Numbers of another store say nothing.
        let from = if after >> 3 == 0 { u64::from(after) } else { 0 };
        let expected = self.book.chain(chain).expect("it has members").rows();
        assert_eq!(page.last, expected.last().map_or(0, |row| row.number));
        let expected = expected.into_iter().filter(|row| row.number > from);
        let expected: Vec<RecordRow> = expected.take(usize::from(after) + 1).collect();
        assert_eq!(page.rows, expected);
    }

    fn reads_item(&mut self, keys: &DeviceKeys, chain: &ChainId, at: usize) {
        let rows = self.book.chain(chain).map(Chain::rows).unwrap_or_default();
        let kept = self.book.chain(chain).and_then(|chain| chain.feed.get(at % chain.feed.len().max(1)));
        let (path, current) = match kept {
            None => (format!("/records/{chain}/{chain}"), None),
            Some(kept) => {
                let book = self.book.chain(chain).expect("it has records");
                let current = book.current(&kept.record).and_then(|at| rows.get(at).cloned());
                (format!("/records/{}/{}", kept.record.collection, kept.record.id), current)
            }
        };
        let Some(answer) = self.reads_below(keys, chain, &path) else { return };
        match current {
            Some(row) => assert_eq!(answer.cbor::<RecordRow>(), row),
            None => assert_eq!(answer.status, 404),
        }
    }

    pub(super) fn reads_requests(&mut self, keys: &DeviceKeys, chain: &ChainId) {
        let Some(answer) = self.reads_below(keys, chain, "/requests") else { return };
        let shown = answer.cbor::<OpenRequests>().requests;
        let now = self.house.now();
        let open = |asked: &&Asked| asked.chain == *chain && self.book.is_open(asked, now);
        let open: Vec<&Asked> = self.book.asked.iter().filter(open).collect();
        assert_eq!(shown.len(), open.len(), "members are shown what is open, and nothing else");
        for (shown, asked) in shown.iter().zip(open) {
            assert_eq!(*shown.request, **asked.form.bytes());
            assert!(asked.form.names(&shown.description));
            assert_eq!(shown.rounds, asked.rounds);
        }
    }

    fn reads_standing(&mut self, keys: &DeviceKeys, which: u8) {
        let id = self.cast.asking(which).form.id();
        let answer = self.house.read(keys, &format!("/v1/requests/{id}"));
        match self.book.asked(&id).filter(|asked| asked.form.signer() == keys.id()) {
            Some(asked) if self.book.is_gone(asked) => {
                assert_eq!((answer.status, answer.code.as_deref()), (403, Some("not-a-member")));
            }
            Some(asked) => {
                let expected = self.book.standing(asked, self.house.now());
                self.compare_standing(&expected, &answer.cbor::<Standing>());
            }
            None => assert_eq!((answer.status, answer.code.as_deref()), (404, Some("not-found"))),
        }
    }

    /// Reads with another clock, without a signature, and of what is not there.
    fn reads_badly(&mut self, keys: &DeviceKeys, chain: &ChainId, what: u8, how: u8) {
        let path = format!("/v1/chains/{chain}/log");
        if what & 0x80 == 0 {
            let (skew, taken) = SKEWS[usize::from(how >> 6)];
            let answer = self.house.read_at(keys, &path, skew);
            assert!(taken || answer.code.as_deref() == Some("clock"));
            assert_eq!(answer.is_success(), taken && self.book.is_member(chain, keys));
            return;
        }
        let path = ODD_PATHS.get(usize::from(how >> 3)).copied().unwrap_or(&path);
        let method = ["GET", "PUT", "DELETE", "OPTIONS"][usize::from(what >> 3) % 4];
        let request = http::Request::builder().method(method).uri(path).body(Body::empty());
        let answer = self.house.send(request.expect("a request"), IpAddr::from([192, 0, 2, 1]));
        let public = method == "GET" && ["/readyz", "/.well-known/countersign"].contains(&path);
        assert_eq!(answer.is_success(), public, "{method} {path}: {}", answer.status);
    }
}
