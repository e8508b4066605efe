//! How much one caller may ask for: requests in a time, wrong tokens in a time, event streams at once (S77, R48).
//!
//! Bounds of single calls (body, header, time) are left to `input` and `server`.

use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use chiffon_common::{ErrorCode, Problem};
use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Refused;

/// Wrong tokens that an address may send in a burst, and each second after it. More than a person mistypes,
/// and no use against 256 random bits.
const WRONG_TOKENS: (u32, u32) = (20, 2);
/// Addresses remembered before those that are quiet are forgotten.
const REMEMBERED: usize = 10_000;

/// The limits of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// `http.requests_per_second`: requests each second of one principal, and of one address. Default 200.
    pub requests_per_second: NonZeroU32,
    /// `http.burst`: how many of them may come at once. Default 1,000.
    pub burst: NonZeroU32,
    /// `http.connections`: open connections in all. Default 2,048.
    pub connections: NonZeroU32,
    /// `http.streams`: event streams of one principal at once. Default 1,024.
    pub streams: NonZeroU32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        let number = |value| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        Self {
            requests_per_second: number(200),
            burst: number(1_000),
            connections: number(2_048),
            streams: number(1_024),
        }
    }
}

/// What is counted while the server runs. There is one principal until there are several.
pub(crate) struct Limiters {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_principal: DefaultDirectRateLimiter,
    wrong_tokens: DefaultKeyedRateLimiter<IpAddr>,
    streams: Arc<Semaphore>,
}

impl Limiters {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        let requests = Quota::per_second(limits.requests_per_second).allow_burst(limits.burst);
        let number = |value| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        let wrong = Quota::per_second(number(WRONG_TOKENS.1)).allow_burst(number(WRONG_TOKENS.0));
        Self {
            by_address: RateLimiter::keyed(requests),
            by_principal: RateLimiter::direct(requests),
            wrong_tokens: RateLimiter::keyed(wrong),
            streams: Arc::new(Semaphore::new(limits.streams.get() as usize)),
        }
    }

    /// Counts a request of an address.
    pub(super) fn of_address(&self, address: Option<IpAddr>) -> Result<(), Refused> {
        counted(&self.by_address, address)
    }

    /// Counts a request of the principal.
    pub(super) fn of_principal(&self) -> Result<(), Refused> {
        self.by_principal
            .check()
            .map_err(|early| too_many(early.wait_time_from(DefaultClock::default().now())))
    }

    /// Counts a wrong token. Right ones of the same address go on unhindered.
    pub(super) fn wrong_token(&self, address: Option<IpAddr>) -> Result<(), Refused> {
        counted(&self.wrong_tokens, address)
    }

    /// A place for an event stream, given back when it is dropped.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let problem = Problem::new(
                ErrorCode::TooManyRequests,
                "too many event streams are open already",
                "close some, or raise http.streams in chiffon.yaml",
            );
            Refused::Later(Box::new(problem), 5)
        })
    }
}

fn counted(
    limiter: &DefaultKeyedRateLimiter<IpAddr>,
    address: Option<IpAddr>,
) -> Result<(), Refused> {
    // Connections without an address (tests of the router) count as one.
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if limiter.len() > REMEMBERED {
        limiter.retain_recent();
    }
    limiter
        .check_key(&address)
        .map_err(|early| too_many(early.wait_time_from(DefaultClock::default().now())))
}

fn too_many(wait: Duration) -> Refused {
    let seconds = wait.as_secs() + 1;
    let problem = Problem::new(
        ErrorCode::TooManyRequests,
        "more requests came than the limit permits",
        format!("wait {seconds} s and send the same again; nothing was done"),
    );
    Refused::Later(Box::new(problem), seconds)
}
