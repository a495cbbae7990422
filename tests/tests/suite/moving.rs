//! A relay that burned down, was emptied, or came back from an old backup: any member fills it, and nobody joins again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_tests::actor::{Member, Reach};
use countersign_tests::home::Home;
use countersign_tests::liar::{Fate, Liar, Lie};
use countersign_tests::relay::{Backup, Relay};
use countersign_tests::wait;
use protocol::Verified;
use protocol::code::SyncCode;
use protocol::entry::Body;
use protocol::policy::Role;
use tokio::sync::Notify;

/// A laptop and a phone of one chain, with a history: versions that were replaced, a device that is gone, two epochs.
fn lived(origin: &str) -> (Home, Home) {
    let (laptop, tablet, phone) = (Home::new("laptop"), Home::new("tablet"), Home::new("phone"));
    laptop.founds(origin);
    tablet.joins(origin, &laptop);
    assert_eq!(tablet.puts("by-the-tablet", "kept").code(), 0);
    assert_eq!(laptop.puts("changed", "one").code(), 0);
    assert_eq!(tablet.puts("changed", "two").code(), 0);
    let removed = laptop.types(&["devices", "remove", "tablet", "--reason", "retired"]);
    assert_eq!(removed.code(), 0, "{}", removed.stderr);
    phone.joins(origin, &laptop);
    assert_eq!(phone.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
    (laptop, phone)
}

#[test]
fn any_member_moves_the_chain_to_an_empty_relay_and_nobody_joins_again() {
    let mut old = Relay::start();
    let (laptop, phone) = lived(&old.origin());
    let head = laptop.head();
    old.kill();
    let new = Relay::start();
    // The phone came last: it never had the content of what was replaced before.
    let moved = phone.reads(&["relay", "move", "--relay", &new.origin()]);
    assert_eq!((&moved["schema"], &moved["records_given"]), (&"countersign.relay-move/1".into(), &4.into()), "{moved}");
    assert_eq!(phone.head(), head);
    let moved = laptop.reads(&["relay", "move", "--relay", &new.origin()]);
    assert_eq!((&moved["records_given"], &moved["records_refused"]), (&0.into(), &0.into()), "{moved}");
    for home in [&laptop, &phone] {
        assert_eq!(home.reads(&["relay", "show"])["state"], "reachable");
        assert_eq!((home.gets("by-the-tablet"), home.gets("changed")), ("kept".to_owned(), "two".to_owned()));
        assert_eq!(home.fails(&["log", "verify"]).0, 0);
    }
    // Both go on writing where their lines ended, and the next device finds everything.
    assert_eq!(laptop.puts("changed", "three").code(), 0);
    assert_eq!(phone.gets("changed"), "three");
    let watch = Home::new("watch");
    watch.joins(&new.origin(), &laptop);
    assert_eq!(watch.gets("by-the-tablet"), "kept");
    assert_eq!(watch.puts("second", "new").code(), 0);
    assert_eq!(laptop.gets("second"), "new");
}

#[test]
fn a_daemon_moves_while_it_runs_and_the_old_relay_is_asked_first() {
    let (old, new) = (Relay::start(), Relay::start());
    let (laptop, phone) = lived(&old.origin());
    assert_eq!(phone.puts("late", "news").code(), 0);
    let daemon = laptop.runs();
    let moved = laptop.types(&["relay", "move", "--relay", &new.origin()]);
    assert_eq!(moved.code(), 0, "{}", moved.stderr);
    assert!(
        moved.stderr.contains(&format!("next: countersign relay move --relay {}", new.origin())),
        "{}",
        moved.stderr
    );
    let _ = daemon.waits_for("the new relay", |line| line.contains("moved to"));
    assert_eq!(phone.reads(&["relay", "move", "--relay", &new.origin()])["records_given"], 0);
    assert_eq!(phone.puts("there", "hello").code(), 0);
    assert_eq!(laptop.gets("there"), "hello");
    assert_eq!(laptop.gets("late"), "news");
    assert_eq!(daemon.stops().code(), 0);
    assert_eq!(laptop.reads(&["status"])["relay"], new.origin());
}

/// Lets so many requests of a kind arrive, and loses the next one.
struct Cut {
    path: &'static str,
    left: AtomicUsize,
    fired: Notify,
    released: Arc<Notify>,
}

impl Lie for Cut {
    fn fate(&self, path: &str) -> Fate {
        // Beyond the one that is lost the count goes around, far from zero.
        if path != self.path || self.left.fetch_sub(1, Ordering::SeqCst) != 0 {
            return Fate::Arrives;
        }
        Fate::LostOnTheWayBack(Arc::clone(&self.released))
    }

    fn arrived(&self) {
        self.fired.notify_one();
    }
}

#[test]
fn a_move_that_was_killed_changes_no_address_and_goes_on_when_it_is_typed_again() {
    for (path, before) in [("/v1/chains", 0), ("/v1/log", 0), ("/v1/records", 0), ("/v1/records", 1)] {
        let old = Relay::start();
        let (laptop, phone) = lived(&old.origin());
        let cut = Cut { path, left: AtomicUsize::new(before), fired: Notify::new(), released: Arc::default() };
        let cut = Arc::new(cut);
        let new = Liar::start(Arc::clone(&cut));
        let mut moving = laptop.starts(&["relay", "move", "--relay", &new.origin()]);
        wait::run("the step", cut.fired.notified());
        moving.kill();
        cut.released.notify_one();
        assert_eq!(laptop.reads(&["status"])["relay"], old.origin(), "{path} after {before}");
        let moved = laptop.types(&["relay", "move", "--relay", &new.origin()]);
        assert_eq!(moved.code(), 0, "{path} after {before}: {}", moved.stderr);
        assert_eq!(phone.reads(&["relay", "move", "--relay", &new.origin()])["records_given"], 0);
        assert_eq!(phone.gets("changed"), "two");
    }
}

#[test]
fn a_relay_with_another_branch_or_another_chain_of_this_code_is_refused() {
    let (old, elsewhere, taken) = (Relay::start(), Relay::start(), Relay::start());
    let (laptop, phone) = lived(&old.origin());
    let move_to = |relay: &Relay| laptop.fails(&["relay", "move", "--relay", &relay.origin()]);
    let unencrypted = laptop.fails(&["relay", "move", "--relay", "http://relay.example.org"]);
    assert_eq!(unencrypted, (2, "usage".to_owned()));
    assert_eq!(laptop.fails(&["relay", "move", "--relay", "http://127.0.0.1:1"]).0, 7);
    // Whoever knows the words can found a chain with them where this one is not known yet.
    let code = SyncCode::from_words(&laptop.words()).unwrap();
    let own = Member::found(Reach::to(&taken), "thief");
    let mut form = (*own.log[0]).clone();
    let Body::Found(body) = &mut form.body else { panic!("found is found") };
    body.join_key = code.join_key().join_key();
    let second = Verified::sign(form, &own.keys.signing, &[&code.join_key()]).unwrap();
    assert_eq!(taken.post("/v1/chains", second.bytes()).status, 201);
    assert_eq!(move_to(&taken), (3, "join-key-taken".to_owned()));
    assert_eq!(laptop.reads(&["relay", "show"])["relay"], old.origin());
    // Two of its members decide apart from each other: two branches of one log.
    assert_eq!(phone.types(&["relay", "move", "--relay", &elsewhere.origin()]).code(), 0);
    for home in [&laptop, &phone] {
        assert_eq!(home.types(&["devices", "role", "laptop", "approver"]).code(), 3, "nothing changes");
    }
    assert_eq!(phone.types(&["devices", "role", "laptop", "writer"]).code(), 0);
    assert_eq!(laptop.types(&["devices", "role", "phone", "writer"]).code(), 0);
    assert_eq!(move_to(&elsewhere), (8, "fork".to_owned()));
    assert_eq!(laptop.reads(&["relay", "show"])["relay"], old.origin());
}

/// It was told that nothing was changed, and that it should compare heads.
#[test]
fn a_fork_that_is_met_on_a_move_says_what_stands_and_is_settled_at_the_old_relay() {
    let (old, elsewhere) = (Relay::start(), Relay::start());
    let (laptop, phone) = lived(&old.origin());
    assert_eq!(phone.types(&["relay", "move", "--relay", &elsewhere.origin()]).code(), 0);
    for home in [&laptop, &phone] {
        assert_eq!(home.types(&["code", "rotate"]).code(), 0);
    }
    let forked = laptop.types(&["relay", "move", "--relay", &elsewhere.origin()]);
    assert_eq!(forked.code(), 8, "{}", forked.stderr);
    for said in ["The address was not changed", "until the fork is settled", "next: countersign log settle"] {
        assert!(forked.stderr.contains(said), "{said}: {}", forked.stderr);
    }
    assert_eq!(laptop.types(&["status"]).code(), 8);
    let shown = laptop.types(&["log", "settle", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(shown.stdout.lines().next().unwrap()).unwrap();
    let settled = laptop.types(&["log", "settle", "--keep", shown["pinned"]["first"].as_str().unwrap()]);
    assert_eq!(settled.code(), 0, "{}", settled.stderr);
    let moved = laptop.types(&["relay", "move", "--relay", &elsewhere.origin()]);
    assert_eq!(moved.code(), 0, "{}", moved.stderr);
    assert_eq!(phone.head(), laptop.head());
}

#[test]
fn a_restored_backup_is_given_log_and_records_by_the_first_device_that_connects() {
    let mut relay = Relay::start();
    let (laptop, phone) = lived(&relay.origin());
    let backup = Backup::of(&mut relay);
    let watch = Home::new("watch");
    watch.joins(&relay.origin(), &laptop);
    assert_eq!(watch.puts("by-the-watch", "tick").code(), 0);
    assert_eq!(phone.puts("first", "hello again").code(), 0);
    assert_eq!(laptop.gets("by-the-watch"), "tick");
    backup.is_restored(&mut relay);
    let daemon = laptop.runs();
    // The watch is no member in the backup, and the phone's line ends earlier there: both find everything again.
    assert_eq!(watch.puts("by-the-watch", "tock").code(), 0);
    assert_eq!(phone.gets("by-the-watch"), "tock");
    assert_eq!(daemon.stops().code(), 0);
    for home in [&laptop, &phone, &watch] {
        assert_eq!(home.gets("first"), "hello again");
        assert_eq!(home.fails(&["log", "verify"]).0, 0);
    }
    // Without a daemon too, and where nothing but records is missing.
    let backup = Backup::of(&mut relay);
    assert_eq!(phone.puts("last", "one").code(), 0);
    assert_eq!(laptop.gets("last"), "one");
    backup.is_restored(&mut relay);
    assert_eq!(laptop.gets("last"), "one");
    let tablet = Home::new("tablet");
    tablet.joins(&relay.origin(), &watch);
    assert_eq!(tablet.gets("last"), "one");
}

/// The relay has an old log again, in which the phone is a member, and the phone is the first to go on there.
#[test]
fn a_removed_device_that_comes_first_to_a_restored_backup_is_not_followed() {
    let mut relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let mut phone = laptop.admits(Reach::to(&relay), "phone");
    let backup = Backup::of(&mut relay);
    assert_eq!(laptop.types(&["devices", "remove", "phone", "--reason", "lost"]).code(), 0);
    let head = laptop.head();
    backup.is_restored(&mut relay);
    let tablet = phone.joined_by("a friend of the phone", Role::Approver);
    assert_eq!(tablet.roster.seq(), 2);
    let daemon = laptop.starts(&["run"]);
    daemon.all.wait("the alarm", |line| line.contains("ALARM").then_some(()));
    let status = laptop.types(&["status", "--json"]);
    assert_eq!(status.code(), 8);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        (status["head"].as_str().unwrap(), status["seq"].as_u64().unwrap()),
        (&*head.0, head.1),
        "it follows nobody"
    );
    assert_eq!(laptop.fails(&["devices", "role", "laptop", "writer"]).0, 8);
    assert!(!laptop.types(&["devices", "list"]).stdout.contains("friend"));
}
