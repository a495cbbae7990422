//! How many connections there may be, and which one goes when there are too many.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::address::Net;
use crate::config::Connections;

/// Counts connections: in all, by address, and those that have not shown who they are.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Connections,
    /// Proxies. Everybody behind one comes from its address, so the limit for one address is not for them.
    trusted: Vec<IpNet>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    next: u64,
    open: usize,
    by_net: HashMap<Net, usize>,
    /// Connections of which nothing is proven, oldest first.
    unproven: BTreeMap<u64, CancellationToken>,
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
#[must_use = "a connection counts as long as its pass lives"]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    number: u64,
    net: Net,
}

impl Gate {
    /// An empty gate.
    #[must_use]
    pub(crate) fn new(limits: Connections, trusted: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { limits, trusted, counts: Mutex::default() })
    }

    /// Lets a connection in, or `None` if its address, or the relay, has as many as it may.
    ///
    /// When too many have not shown who they are, the oldest of them goes: a crowd of half-open handshakes then costs its
    /// sender its own connections, and not somebody else's. The token is cancelled when this one must go.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<(Pass, CancellationToken)> {
        let net = Net::of(peer);
        let proxy = self.trusts(peer);
        let mut counts = self.lock();
        if counts.open >= self.limits.total {
            // This one is not let in, but the next will find room.
            counts.evict_oldest();
            return None;
        }
        let of_net = counts.by_net.entry(net).or_default();
        if *of_net >= self.limits.per_address && !proxy {
            return None;
        }
        *of_net += 1;
        counts.open += 1;
        counts.next += 1;
        let (number, evicted) = (counts.next, CancellationToken::new());
        if counts.unproven.len() >= self.limits.unproven {
            counts.evict_oldest();
        }
        counts.unproven.insert(number, evicted.clone());
        Some((Pass { gate: Arc::clone(self), number, net }, evicted))
    }

    /// Makes room when the system has no more descriptors: an eighth of those that proved nothing goes, the oldest first.
    pub(crate) fn make_room(&self) {
        let mut counts = self.lock();
        for _ in 0..counts.unproven.len().div_ceil(8) {
            counts.evict_oldest();
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|trusted| trusted.contains(&address))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn evict_oldest(&mut self) {
        if let Some((_, oldest)) = self.unproven.pop_first() {
            oldest.cancel();
        }
    }

    fn leave(&mut self, net: Net) {
        if let Some(count) = self.by_net.get_mut(&net) {
            *count -= 1;
            if *count == 0 {
                self.by_net.remove(&net);
            }
        }
    }
}

/// An address that has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Pass {
    /// Counts the connection for another address from now on: that of the client which a proxy named.
    pub(crate) fn count_for(&mut self, client: IpAddr) -> Result<(), TooMany> {
        let net = Net::of(client);
        let proxy = self.gate.trusts(client);
        let mut counts = self.gate.lock();
        if net != self.net {
            let of_net = counts.by_net.entry(net).or_default();
            if *of_net >= self.gate.limits.per_address && !proxy {
                return Err(TooMany);
            }
            *of_net += 1;
            counts.leave(self.net);
        }
        drop(counts);
        self.net = net;
        Ok(())
    }

    /// The device showed who it is: its connection is no longer cut off to make room.
    pub(crate) fn prove(&self) {
        self.gate.lock().unproven.remove(&self.number);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.lock();
        counts.unproven.remove(&self.number);
        counts.open -= 1;
        counts.leave(self.net);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(total: usize, per_address: usize, unproven: usize) -> Arc<Gate> {
        Gate::new(Connections { total, per_address, unproven }, vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn one_address_cannot_take_all_connections() {
        let gate = gate(10, 2, 10);
        let held = [gate.enter(address(1)), gate.enter(address(1))];
        assert!(held.iter().all(Option::is_some));
        assert!(gate.enter(address(1)).is_none());
        assert!(gate.enter(address(2)).is_some());
        let [first, _second] = held;
        drop(first);
        let _again = gate.enter(address(1)).unwrap();
        assert!(gate.enter(address(1)).is_none(), "the other still counts");
    }

    #[test]
    fn an_address_that_left_is_forgotten() {
        let gate = gate(10, 2, 10);
        drop([gate.enter(address(1)), gate.enter(address(1))]);
        assert!(gate.lock().by_net.is_empty());
    }

    #[test]
    fn behind_a_proxy_each_client_has_its_own_count_and_the_proxy_none() {
        let gate = gate(10, 1, 10);
        let (mut first, _) = gate.enter(address(1)).unwrap();
        assert_eq!(first.count_for(address(2)), Ok(()));
        let (mut second, _) = gate.enter(address(1)).unwrap();
        assert_eq!(second.count_for(address(2)), Err(TooMany));
        drop(first);
        assert_eq!(second.count_for(address(2)), Ok(()));
        assert_eq!(second.count_for(address(2)), Ok(()), "once more changes nothing");
        assert!(gate.enter(address(2)).is_none());
        assert!(gate.enter(address(1)).is_some());
        drop(second);
        assert!(gate.enter(address(2)).is_some());
    }

    #[test]
    fn a_trusted_proxy_may_bring_as_many_as_the_relay_takes() {
        let gate = gate(3, 2, 10);
        let proxy = IpAddr::from([10, 0, 0, 1]);
        let held: Vec<_> = (0..3).map(|_| gate.enter(proxy)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(gate.enter(proxy).is_none());
    }

    #[test]
    fn a_trusted_proxy_that_another_one_announces_is_not_limited_either() {
        let gate = gate(10, 1, 10);
        let mut held: Vec<_> = (1..=3).map(|last| gate.enter(address(last)).unwrap()).collect();
        assert!(held.iter_mut().all(|(pass, _)| pass.count_for(IpAddr::from([10, 0, 0, 1])).is_ok()));
        assert!(gate.enter(address(1)).is_some());
    }

    #[test]
    fn the_oldest_that_proved_nothing_goes_and_the_proven_stay() {
        let gate = gate(10, 10, 2);
        let proven = gate.enter(address(1)).unwrap();
        proven.0.prove();
        let oldest = gate.enter(address(2)).unwrap();
        let newer = gate.enter(address(3)).unwrap();
        let newest = gate.enter(address(4)).unwrap();
        assert!(oldest.1.is_cancelled());
        assert!(![&proven, &newer, &newest].iter().any(|(_, evicted)| evicted.is_cancelled()));
    }

    #[test]
    fn room_is_made_by_an_eighth_of_those_that_proved_nothing_the_oldest_first() {
        let gate = gate(20, 20, 20);
        let held: Vec<_> = (1..=9).map(|last| gate.enter(address(last)).unwrap()).collect();
        held.first().unwrap().0.prove();
        gate.make_room();
        let gone: Vec<bool> = held.iter().map(|(_, evicted)| evicted.is_cancelled()).collect();
        assert_eq!(gone, [false, true, false, false, false, false, false, false, false]);
    }
}
