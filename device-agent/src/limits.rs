//! Every bound of the agent: its unit, its reason, what happens at it. The protocol's own are in `protocol::limits`.

use std::time::Duration;

/// Time for looking up, connecting, and for TLS, each. Then the relay counts as unreachable.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Bytes of a proxy's answer to CONNECT. A longer one is no answer.
pub(crate) const PROXY_ANSWER_BYTES: usize = 8 * 1024;
/// Time for one HTTP exchange with the relay. Then it counts as unreachable.
pub(crate) const EXCHANGE_WAIT: Duration = Duration::from_secs(20);
/// Tries of one exchange that failed on the way; the same bytes get the same answer.
pub(crate) const EXCHANGE_TRIES: u32 = 3;
/// Tries to land an own entry while others move the head.
pub(crate) const APPEND_TRIES: usize = 8;
/// Tries to cut a line of records at its end while its writer goes on. Then a lost or distrusted device is cut at the last record that was
/// read, and what it wrote after that is disputed.
pub(crate) const CUT_TRIES: usize = 8;
/// Silence on a socket after which it is dialled anew. The agent pings at a third of it.
pub(crate) const SOCKET_SILENCE: Duration = Duration::from_secs(75);
/// Shortest and longest wait before a socket is dialled anew; jitter is added so that a restarted relay is not stormed.
pub(crate) const RECONNECT_WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Wait for the joiner's answer after a prompt was opened. Then the caller is told to try again; nothing is lost.
pub(crate) const REVEAL_WAIT: Duration = Duration::from_secs(20);
/// One-time codes that may fail on a device before it compares none until its owner unlocks it: of a million, three are right at a time.
pub(crate) const FAILED_CODES_MAX: u64 = 30;
/// Milliseconds after which a one-time code that was typed for a request cannot be right any more: 30 s and a step either side, and some on
/// the way. Then it is not compared, and no device that was away counts an honest code as a failed one.
pub(crate) const CODE_AGE: u64 = 95_000;
/// Between two looks at the relay while no socket is up.
pub(crate) const POLL: Duration = Duration::from_millis(700);
/// Wait for the lock of the state directory while another command holds it.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Between two tries for the lock.
pub(crate) const LOCK_POLL: Duration = Duration::from_millis(50);
/// Events kept for one slow listener; a slower one is told that it missed some and reads the state anew.
pub(crate) const EVENTS_KEPT: usize = 256;
/// Entries that a daemon tells at its start because nobody was told of them: the latest. All of them are in the diary.
pub(crate) const UNTOLD: u64 = 100;
/// Time for a session that only asks whether a reset stands. Then this device goes on with what it was told before.
pub(crate) const RESET_LOOK: Duration = Duration::from_secs(5);
/// Milliseconds after which a command asks again whether a reset stands, where no daemon is told: an hour, of a wait that is 7 days unless
/// the policy says otherwise. Each time costs one more connection.
pub(crate) const RESET_LOOK_AGAIN: u64 = 60 * 60 * 1000;
/// Open requests of one chain that are kept in memory: the relay holds back more than three a join key already.
pub(crate) const OPEN_REQUESTS_KEPT: usize = 64;
/// Records that cite a head not in the log, kept until the log catches up. Beyond it the cursor stops, and reading goes on with what
/// is here.
pub(crate) const ASIDE_KEPT: u64 = 1024;
/// Items whose content is asked for one by one in a turn, where a relay had them without. The rest comes with the next.
pub(crate) const CONTENT_READS: usize = 64;
/// Times that a relay's whole feed is read because it does not fit beside what this device has: others may write meanwhile. Then it is
/// refused.
pub(crate) const FEED_TRIES: usize = 5;
/// Time for the program of `--on-event`, for one event. Then it is killed, with everything that it started.
pub(crate) const HOOK_WAIT: Duration = Duration::from_secs(30);
/// Events that wait for the program of `--on-event`. Then the oldest record makes way, or the oldest event, with a warning.
pub(crate) const HOOK_EVENTS_KEPT: usize = 256;
/// Items of an export that are opened at a time: two of the largest are less than what the local socket takes at once.
pub(crate) const EXPORT_PAGE: usize = 2;
/// Own writes that wait for the relay. One more is refused, and its person told: the disk is not a spool for a relay that never comes back.
pub(crate) const DRAFTS_KEPT: u64 = 1024;
/// Writes set aside that `status` names one by one; more are counted.
pub(crate) const REFUSED_SHOWN: usize = 3;
/// Bytes of a body on the local socket: a record's value in base64 and some.
pub(crate) const LOCAL_BODY_BYTES: usize = 1024 * 1024;
/// Pause before an exchange is tried again, times the tries so far: a relay that restarts is back by then.
pub(crate) const EXCHANGE_PAUSE: Duration = Duration::from_millis(300);
/// Milliseconds for which the first sight of a request is remembered: thirty days, and a request lives a day at most.
pub(crate) const SIGHTINGS_KEPT: u64 = 30 * 24 * 60 * 60 * 1000;
/// Milliseconds by which the relay's count of a request's lifetime may run ahead of ours.
pub(crate) const LIFETIME_SLACK: u64 = 1_000;
/// Time for the daemon to finish what is in flight at SIGTERM.
pub(crate) const DRAIN_WAIT: Duration = Duration::from_secs(5);
/// A relay's certificate that expires sooner is warned of: renewals are due a month before the end.
pub(crate) const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Clocks further apart than this are warned of, and times in prompts look wrong.
pub(crate) const CLOCK_WARNING: Duration = Duration::from_secs(10);
/// Clocks further apart than this fail: the relay refuses signed reads 60 s either side of its own.
pub(crate) const CLOCK_FAIL: Duration = Duration::from_secs(60);
/// Time for completing an id: a shell waits for it. Then none is offered.
pub(crate) const COMPLETION_WAIT: Duration = Duration::from_secs(1);
/// Pending requests that a terminal shows one by one; more are folded into one row.
pub(crate) const PROMPTS_SHOWN: usize = 3;
/// Bytes of a file or standard input that is read as a record's value or a sync code.
pub(crate) const INPUT_BYTES: usize = 512 * 1024;
/// Entries of a log that a joiner reads. More are no chain of people: a relay with the sync code could go on for ever.
pub(crate) const JOIN_LOG_ENTRIES: usize = 65_536;
