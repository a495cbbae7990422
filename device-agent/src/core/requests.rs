//! Open requests: what the relay forwards, verified, opened and counted by this device's own clock.

use std::net::IpAddr;

use protocol::cbor::Blob;
use protocol::request::{Description, JoinRequest};
use protocol::round::{Nonce, Prompt, Reveal};
use protocol::signed::Verified;
use protocol::wire::{OpenRequest, Round, Seen};
use protocol::{RequestId, limits as bounds};

use super::totp::Gate;
use super::view::{Event, PromptView, RequestView, SameNetwork};
use super::{Core, Telling};
use crate::clock::{self, Age};
use crate::error::{AgentError, Missing};
use crate::store::Ended;
use crate::{limits, text};

/// A request that waits for a decision.
pub(super) struct Pending {
    /// Verified: signed by the device, with the join key's proof.
    pub(super) request: Verified<JoinRequest>,
    /// The sealed description that the request names.
    pub(super) sealed: Blob,
    /// What it holds, if it opens: the device's claims.
    pub(super) description: Option<Description>,
    seen: Seen,
    /// Since this device first saw it.
    age: Age,
    /// The relay's count of what remains, and how old that is.
    relay_remaining: (u64, Age),
    /// The rounds as the relay shows them, not verified.
    pub(super) rounds: Vec<Round>,
    /// What became of its one-time code here, if codes are asked for.
    code: Option<&'static str>,
}

/// Which requests a list from the relay speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listing {
    /// One of them.
    One,
    /// All. Of those that were known before it was asked for, the missing ones are no longer open.
    All {
        /// Known before.
        before: Vec<RequestId>,
    },
}

impl Core {
    /// Takes open requests from the relay. One that does not verify, or was made with another sync code, is passed over: it is no
    /// member's word, so it can cost at most a log line.
    pub(crate) fn take_requests(&mut self, requests: &[OpenRequest], listing: &Listing) -> Result<(), AgentError> {
        let mut listed = Vec::new();
        for open in requests {
            match self.take_request(open) {
                Ok(Some(id)) => listed.push(id),
                Ok(None) => {}
                Err(AgentError::BadForm(error)) => tracing::warn!("a join request is passed over: {error}"),
                Err(other) => return Err(other),
            }
        }
        if let Listing::All { before } = listing {
            for id in before.iter().filter(|id| !listed.contains(id)) {
                let ending = if self.remaining(id).is_some_and(|left| left > limits::LIFETIME_SLACK) {
                    "withdrawn"
                } else {
                    "expired"
                };
                self.end_request(id, ending)?;
            }
            self.end_forgotten(&listed)?;
        }
        self.prune()
    }

    /// Ends prompts that an earlier process opened and that are no longer open. The relay's word frees a place among the open
    /// ones, never one of the day's: what a thief may guess at does not grow by it.
    fn end_forgotten(&mut self, listed: &[RequestId]) -> Result<(), AgentError> {
        for id in self.store.rounds_open_since(0)? {
            if !listed.contains(&id) && !self.pending.contains_key(&id) {
                self.store.end_round(&id, Ended::Over)?;
            }
        }
        Ok(())
    }

    fn take_request(&mut self, open: &OpenRequest) -> Result<Option<RequestId>, AgentError> {
        let request = Verified::<JoinRequest>::from_bytes(&open.request).map_err(AgentError::BadForm)?;
        let id = request.id();
        if request.join_key != self.roster.join_key() || !request.names(&open.description) {
            tracing::warn!(
                "join request {} is passed over: it has another sync code, or another description",
                id.short()
            );
            return Ok(None);
        }
        if self.roster.decision(&id).is_some() {
            return Ok(None);
        }
        let known = self.pending.contains_key(&id);
        if !known && self.pending.len() >= limits::OPEN_REQUESTS_KEPT {
            return Ok(None);
        }
        let description = Description::open(self.keyring.code(), &request.device.signing, &open.description).ok();
        let gate = match self.pending.get(&id) {
            Some(pending) => Gate::Shown(pending.code),
            None => {
                let lifetime = u64::from(self.roster.policy().request_lifetime) * 1000;
                self.gate(&request, description.as_ref(), lifetime.saturating_sub(open.remaining))?
            }
        };
        let Gate::Shown(code) = gate else { return Ok(None) };
        let now = clock::now();
        self.begin_sighting(now)?;
        let (is_new, first) = (self.store.sighting(&id)?.is_none(), self.store.first_sight(&id, now)?);
        if is_new
            && self.telling == Telling::Daemon
            && let Some(again_at) = self.prompts_again_at(now)?
        {
            tracing::warn!("{}", held_back(again_at));
        }
        let age = self.pending.get(&id).map_or_else(|| Age::since(first), |pending| pending.age);
        if let Some(description) = &description {
            if self.claims.len() >= limits::OPEN_REQUESTS_KEPT * 4 {
                self.claims.pop_first();
            }
            self.claims.insert(id, description.clone());
        }
        let pending = Pending {
            request,
            sealed: open.description.clone(),
            description,
            seen: open.seen.clone(),
            age,
            relay_remaining: (open.remaining, Age::since(clock::now())),
            rounds: open.rounds.clone(),
            code,
        };
        self.pending.insert(id, pending);
        let answered = self.take_reveal(&id)?;
        let event = |request: Box<RequestView>| {
            if known { Event::Answered { request } } else { Event::Requested { request } }
        };
        if (!known || answered)
            && let Ok(view) = self.view(&id)
            && view.remaining > 0
        {
            self.emit(event(Box::new(view)));
        }
        Ok(Some(id))
    }

    /// Keeps the answer to this device's own nonce, if it is there and is one. Returns whether it is new.
    fn take_reveal(&mut self, id: &RequestId) -> Result<bool, AgentError> {
        let Some(opened) = self.store.opened(id)?.filter(|opened| opened.reveal.is_none()) else {
            return Ok(false);
        };
        let Some(pending) = self.pending.get(id) else {
            return Ok(false);
        };
        let nonce = Verified::<Nonce>::from_bytes(&opened.nonce).map_err(AgentError::OwnForm)?;
        let reveal = pending.rounds.iter().find(|round| *round.nonce == *opened.nonce);
        let Some(reveal) = reveal.and_then(|round| round.reveal.as_ref()) else {
            return Ok(false);
        };
        let reveal = Verified::<Reveal>::from_bytes(reveal).map_err(AgentError::BadForm)?;
        Prompt::new(pending.request.clone(), nonce, &reveal)
            .map_err(|error| AgentError::Lie { what: format!("the answer to this device's nonce: {error}") })?;
        self.store.keep_reveal(id, reveal.bytes())?;
        Ok(true)
    }

    /// A request is no longer open, undecided.
    pub(crate) fn end_request(&mut self, id: &RequestId, ending: &str) -> Result<(), AgentError> {
        if self.pending.remove(id).is_some() && self.roster.decision(id).is_none() {
            self.store.end_round(id, Ended::Over)?;
            self.drop_approvals_of(id)?;
            self.emit(Event::Ended { request: id.to_string(), ending: ending.to_owned() });
        }
        Ok(())
    }

    /// Ends what has expired by this device's own count.
    pub(crate) fn prune(&mut self) -> Result<(), AgentError> {
        let over: Vec<RequestId> =
            self.pending.keys().copied().filter(|id| self.remaining(id).is_none_or(|left| left == 0)).collect();
        for id in over {
            self.end_request(&id, "expired")?;
        }
        Ok(())
    }

    /// Milliseconds until a pending request expires: the earlier of the relay's count and this device's own.
    pub(super) fn remaining(&self, id: &RequestId) -> Option<u64> {
        let pending = self.pending.get(id)?;
        let lifetime = u64::from(self.roster.policy().request_lifetime) * 1000;
        let own = lifetime.saturating_sub(pending.age.millis());
        let (relay, since) = &pending.relay_remaining;
        Some(own.min(relay.saturating_sub(since.millis())))
    }

    /// The ids of the open requests.
    pub(crate) fn open_ids(&self) -> Vec<RequestId> {
        self.pending.keys().copied().collect()
    }

    /// Every open request, the one that expires first at the top.
    pub(crate) fn requests(&self) -> Result<Vec<RequestView>, AgentError> {
        let mut views = Vec::new();
        for id in self.pending.keys() {
            let view = self.view(id)?;
            if view.remaining > 0 {
                views.push(view);
            }
        }
        views.sort_by_key(|view| view.remaining);
        Ok(views)
    }

    /// A request as it is shown.
    pub(crate) fn view(&self, id: &RequestId) -> Result<RequestView, AgentError> {
        let not_found = || AgentError::NotFound { of: Missing::Request, what: format!("request {}", id.short()) };
        let pending = self.pending.get(id).ok_or_else(not_found)?;
        let claim = |pick: fn(&Description) -> &String| {
            pending.description.as_ref().map(|described| text::clean(pick(described))).unwrap_or_default()
        };
        let name = claim(|described| &described.name);
        Ok(RequestView {
            id: id.to_string(),
            fingerprint: protocol::id::fingerprint(pending.request.device.signing.as_bytes()),
            looks_like: self.look_alikes(&name),
            name,
            platform: claim(|described| &described.platform),
            version: claim(|described| &described.version),
            address: text::clean(&pending.seen.address),
            proxy: pending.seen.proxy.as_deref().map(text::clean),
            asked_at: pending.seen.at,
            same_network: same_network(&pending.seen.address, self.own_address),
            remaining: self.remaining(id).unwrap_or_default(),
            prompt: self.prompt_view(id)?,
            one_time_code: pending.code.map(str::to_owned),
            admits_as: self.admits_as(id).name().to_owned(),
            approved_by: self.admit_approved_by(id),
            more_needed: self.admit_more_needed(id),
        })
    }

    fn prompt_view(&self, id: &RequestId) -> Result<PromptView, AgentError> {
        let Some(opened) = self.store.opened(id)? else {
            return Ok(PromptView::Closed);
        };
        let round = Verified::<Nonce>::from_bytes(&opened.nonce).map_err(AgentError::OwnForm)?.round;
        Ok(match opened.reveal {
            Some(_) => PromptView::Ready { round, wrong: opened.wrong },
            None => PromptView::Opening { round },
        })
    }

    /// Members whose name differs from this one at most in case, spaces and punctuation.
    fn look_alikes(&self, name: &str) -> Vec<String> {
        let bare = |name: &str| -> String {
            name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        let wanted = bare(name);
        let names = self.members().into_iter().map(|member| member.name);
        names.filter(|known| !wanted.is_empty() && bare(known) == wanted).collect()
    }

    /// The request that a prefix of an id names, among open, opened and decided ones.
    pub(crate) fn find(&self, prefix: &str) -> Result<RequestId, AgentError> {
        let wanted = prefix.trim().to_ascii_lowercase();
        let sighted = self.store.sightings()?;
        let mut found: Vec<RequestId> = sighted.into_iter().chain(self.decided_requests()).collect();
        found.sort();
        found.dedup();
        found.retain(|id| !wanted.is_empty() && id.to_string().starts_with(&wanted));
        match found.as_slice() {
            [] => Err(AgentError::NotFound {
                of: Missing::Request,
                what: format!("a request that begins with {:?}", text::clean(prefix)),
            }),
            [one] => Ok(*one),
            _ => Err(AgentError::Ambiguous { prefix: text::clean(prefix) }),
        }
    }
}

/// That no further request is shown for a while, in words.
pub(crate) fn held_back(again_at: u64) -> String {
    format!(
        "prompts are held back until {}: {} requests in a day let nobody in; countersign code rotate begins anew",
        clock::show(again_at),
        bounds::PROMPTS_PER_DAY_MAX
    )
}

/// Public addresses are the same network if they are equal (one router in front of both); private ones if they share /24 or /64.
fn same_network(theirs: &str, ours: Option<IpAddr>) -> SameNetwork {
    let (Ok(theirs), Some(ours)) = (theirs.parse::<IpAddr>(), ours) else {
        return SameNetwork::Unknown;
    };
    let yes = |same| if same { SameNetwork::Yes } else { SameNetwork::No };
    match (theirs.to_canonical(), ours.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let private = |ip: std::net::Ipv4Addr| ip.is_private() || ip.is_loopback() || ip.is_link_local();
            match (private(a), private(b)) {
                (true, true) => yes(a.octets().iter().take(3).eq(b.octets().iter().take(3))),
                (false, false) => yes(a == b),
                _ => SameNetwork::Unknown,
            }
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => yes(a.segments().iter().take(4).eq(b.segments().iter().take(4))),
        _ => SameNetwork::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_compared_are_not_called_the_same_network() {
        let own = |text: &str| text.parse().ok();
        assert_eq!(same_network("192.168.1.7", own("192.168.1.2")), SameNetwork::Yes);
        assert_eq!(same_network("192.168.2.7", own("192.168.1.2")), SameNetwork::No);
        assert_eq!(same_network("203.0.113.5", own("192.168.1.2")), SameNetwork::Unknown);
        assert_eq!(same_network("203.0.113.5", own("203.0.113.5")), SameNetwork::Yes);
        assert_eq!(same_network("203.0.113.6", own("203.0.113.5")), SameNetwork::No);
        assert_eq!(same_network("2001:db8::1", own("2001:db8::2")), SameNetwork::Yes);
        assert_eq!(same_network("nonsense", own("192.168.1.2")), SameNetwork::Unknown);
    }
}
