//! Limits on what can be reached without membership.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use protocol::JoinKey;

use crate::address::Net;
use crate::clock::millis;
use crate::failure::Refusal;
use crate::recent::Recent;

/// Keys that one limiter remembers before those that are at rest are forgotten.
const KEYS_MAX: usize = 65_536;
/// Addresses that are remembered as not served: between this many and twice as many.
const BANNED: usize = 4_096;

/// So many a minute, and as many at once after a minute's rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub NonZeroU32);

impl Rate {
    fn quota(self) -> Quota {
        Quota::per_minute(self.0)
    }
}

/// The limiters of the relay.
#[derive(Debug)]
pub struct Rates {
    ask_address: DefaultKeyedRateLimiter<Net>,
    ask_join_key: DefaultKeyedRateLimiter<JoinKey>,
    found: DefaultKeyedRateLimiter<Net>,
    refused: DefaultKeyedRateLimiter<Net>,
    /// Until when an address is not served, on the steady clock.
    banned: Recent<Net, u64>,
    clock: DefaultClock,
}

/// What each limiter allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatesConfig {
    /// Join requests from one address.
    pub requests_per_address: Rate,
    /// Join requests with one join key.
    pub requests_per_join_key: Rate,
    /// Chains founded from one address.
    pub chains_per_address: Rate,
    /// Refused posts and reads of one address: what a stranger can make the relay verify.
    pub refused_per_address: Rate,
}

impl Rates {
    /// Limiters at rest.
    #[must_use]
    pub fn new(config: &RatesConfig) -> Self {
        let keyed = |rate: Rate| DefaultKeyedRateLimiter::keyed(rate.quota());
        Self {
            ask_address: keyed(config.requests_per_address),
            ask_join_key: DefaultKeyedRateLimiter::keyed(config.requests_per_join_key.quota()),
            found: keyed(config.chains_per_address),
            refused: keyed(config.refused_per_address),
            banned: Recent::new(BANNED),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a join request of an address, before its signature costs anything.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooMany`].
    pub fn ask_from(&self, net: Net) -> Result<(), Refusal> {
        self.check(&self.ask_address, net)
    }

    /// Counts a join request of a join key, after its proof held: nobody else can use up its allowance.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooMany`].
    pub fn ask_with(&self, key: JoinKey) -> Result<(), Refusal> {
        self.check(&self.ask_join_key, key)
    }

    /// Counts a founding.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooMany`].
    pub fn found_from(&self, net: Net) -> Result<(), Refusal> {
        self.check(&self.found, net)
    }

    /// Counts something that was refused. An address that causes too many is not served until the limiter allows one more:
    /// each refusal cost the relay a verification.
    pub fn refused_from(&self, net: Net, now: u64) {
        if let Err(Refusal::TooMany { retry_after }) = self.check(&self.refused, net) {
            self.banned.keep(net, now.saturating_add(retry_after));
        }
    }

    /// Refuses an address that caused too many refusals, before it costs anything.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooMany`].
    pub fn check_banned(&self, net: Net, now: u64) -> Result<(), Refusal> {
        let until = self.banned.find(&net).unwrap_or_default();
        if until > now { Err(Refusal::TooMany { retry_after: until - now }) } else { Ok(()) }
    }

    fn check<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: K,
    ) -> Result<(), Refusal> {
        if limiter.len() > KEYS_MAX {
            limiter.retain_recent();
        }
        limiter.check_key(&key).map_err(|until| {
            let wait: Duration = until.wait_time_from(self.clock.now());
            Refusal::TooMany { retry_after: millis(wait) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        let once = Rate(NonZeroU32::MIN);
        Rates::new(&RatesConfig {
            requests_per_address: once,
            requests_per_join_key: once,
            chains_per_address: once,
            refused_per_address: once,
        })
    }

    fn net(last: u8) -> Net {
        Net::of([203, 0, 113, last].into())
    }

    fn refused(result: Result<(), Refusal>) -> u64 {
        match result {
            Err(Refusal::TooMany { retry_after }) => retry_after,
            other => panic!("expected too many, got {other:?}"),
        }
    }

    #[test]
    fn each_limiter_counts_its_own_and_says_when_to_come_back() {
        let rates = rates();
        let minute = 1..=60_000;
        assert!(rates.ask_from(net(1)).is_ok() && rates.found_from(net(1)).is_ok());
        assert!(minute.contains(&refused(rates.ask_from(net(1)))) && rates.ask_from(net(2)).is_ok());
        assert!(minute.contains(&refused(rates.found_from(net(1)))) && rates.found_from(net(2)).is_ok());
        assert!(rates.ask_with(JoinKey([1; 32])).is_ok());
        assert!(
            minute.contains(&refused(rates.ask_with(JoinKey([1; 32])))) && rates.ask_with(JoinKey([2; 32])).is_ok()
        );
    }

    #[test]
    fn who_was_refused_too_often_is_not_served_until_the_limiter_allows_one_more() {
        let rates = rates();
        rates.refused_from(net(1), 1_000);
        assert!(rates.check_banned(net(1), 1_000).is_ok(), "once is no crowd");
        rates.refused_from(net(1), 1_000);
        let wait = refused(rates.check_banned(net(1), 1_000));
        assert!((1..=60_000).contains(&wait), "{wait}");
        assert_eq!(refused(rates.check_banned(net(1), 1_000 + wait - 1)), 1);
        assert!(rates.check_banned(net(1), 1_000 + wait).is_ok() && rates.check_banned(net(2), 1_000).is_ok());
    }
}
