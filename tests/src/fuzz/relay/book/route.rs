//! Where devices post.

/// Where something is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fuzz::relay) enum Route {
    Chains,
    Log,
    Requests,
    Withdrawals,
    Nonces,
    Reveals,
    Records,
    Approvals,
    Resets,
}

impl Route {
    pub(in crate::fuzz::relay) const ALL: [Self; 9] = [
        Self::Chains,
        Self::Log,
        Self::Requests,
        Self::Withdrawals,
        Self::Nonces,
        Self::Reveals,
        Self::Records,
        Self::Approvals,
        Self::Resets,
    ];

    pub(in crate::fuzz::relay) fn path(self) -> &'static str {
        match self {
            Self::Chains => "/v1/chains",
            Self::Log => "/v1/log",
            Self::Requests => "/v1/requests",
            Self::Withdrawals => "/v1/withdrawals",
            Self::Nonces => "/v1/nonces",
            Self::Reveals => "/v1/reveals",
            Self::Records => "/v1/records",
            Self::Approvals => "/v1/approvals",
            Self::Resets => "/v1/resets",
        }
    }

    /// The status of an answer that takes it.
    pub(in crate::fuzz::relay) fn success(self) -> u16 {
        match self {
            Self::Chains => 201,
            Self::Requests | Self::Resets => 202,
            _ => 200,
        }
    }
}
