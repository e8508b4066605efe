//! The external authoriser (RFC-ARB-0001, section 11.1): asked over HTTP or HTTPS, within a time, on kept connections. When it
//! is asked is left to the shells of the arbiter, which all ask it through here: `arbiter serve` and the orchestrator.
//!
//! One that is not there has said nothing ([`Authorisation::Unavailable`]); what that means is the policy's to say. One
//! that has answered what is no decision is there ([`Authorisation::Unreadable`]), and its answer may have been a denial:
//! that permits nothing (section 17: where authorisation fails, deny).
//!
//! The questions of one tenant have places of their own, so that nobody waits behind another tenant's slow answers.

mod alone;
mod http;
mod share;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chiffon_arbiter::Authorisation;
use chiffon_common::{AuthZDecision, AuthZRequest, Digest, TenantId, read_contract, visible};
use chiffon_tls::{Trust, TrustError};
use hyper::{
    Request, StatusCode, Uri, header,
    http::uri::{Authority, Scheme},
};
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

pub use self::alone::Alone;
use self::{
    alone::Alike,
    http::{Client, Unanswered},
    share::Share,
};

/// Largest answer that is read; a decision has some hundred bytes.
const MOST_BYTES: usize = 64 * 1024;
/// Longest time for which an answer is used again, whatever its author says: a right that was taken away must end.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// How many may wait for a place of their tenant, for each place. More would only wait for their time-out.
const WAITING: usize = 16;
/// How long storing an answer may take, for those who wait for it.
const STORED: Duration = Duration::from_secs(30);
/// Tenants without a question are forgotten beyond this many.
const TENANTS: usize = 4_096;

/// Too many questions of this tenant wait already, or the places were taken for as long as an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events of this tenant wait for the authoriser")]
pub struct Crowded;

/// Where it is, and how much is asked of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorizer {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The authorities that its certificate may be from, in PEM, where it is asked over HTTPS; without it, those of the
    /// system.
    pub ca_file: Option<PathBuf>,
    /// Shown to it as bearer token.
    pub token: Option<String>,
    /// How long an answer may take, and how long a question waits for its place at most.
    pub timeout: Duration,
    /// Questions of one tenant that may be under way at once.
    pub in_flight: usize,
    /// Answers that may be used again for as long as it said; 0 asks every time.
    pub cached: usize,
}

impl fmt::Debug for Authorizer {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("endpoint", &self.endpoint)
            .field("ca_file", &self.ca_file)
            .field("has_token", &self.token.is_some())
            .field("timeout", &self.timeout)
            .field("in_flight", &self.in_flight)
            .field("cached", &self.cached)
            .finish()
    }
}

/// An address over HTTP or HTTPS, without user and password: they would stand in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// What an [`Endpoint`] has to look like.
pub const ENDPOINT: &str = "http://HOST/PATH or https://HOST/PATH without user or password";

/// The text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no address of the form {ENDPOINT}")]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        // A fragment is never sent, and the reader of addresses drops it.
        let uri: Uri = match text.contains('#') {
            true => return Err(NoEndpoint),
            false => text.parse().map_err(|_| NoEndpoint)?,
        };
        let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let is_bare = uri
            .authority()
            .is_some_and(|place| !place.host().is_empty() && !place.as_str().contains('@'));
        // A port that no address can have is none to the reader, which would ask at another one.
        let has_port = |place: &Authority| place.as_str().len() > place.host().len();
        let is_port = uri
            .authority()
            .is_some_and(|place| !has_port(place) || place.port_u16().is_some_and(|port| port > 0));
        let is_fit = is_known && is_bare && is_port;
        is_fit.then_some(Self(uri)).ok_or(NoEndpoint)
    }
}

impl Endpoint {
    /// Whether TLS is spoken with it.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// It is to be asked over HTTPS, and nobody is trusted.
#[derive(Debug, thiserror::Error)]
#[error("the authoriser is asked over HTTPS, and {0}")]
pub struct NoClient(TrustError);

/// Asks the authoriser.
pub struct Asking {
    http: Client,
    settings: Authorizer,
    places: Mutex<HashMap<TenantId, Arc<Places>>>,
    alike: Alike,
    share: Share,
    kept: Mutex<HashMap<Digest, (Authorisation, Instant)>>,
}

/// The places of one tenant.
struct Places {
    free: Semaphore,
    asked: AtomicUsize,
}

/// One question that waits or is under way.
struct Counted(Arc<Places>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::AcqRel);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asking {
    /// One that asks, and keeps its connections, on behalf of callers that share so many.
    ///
    /// # Errors
    /// Where it is asked over HTTPS, and no authority can be had.
    pub fn new(settings: Authorizer, callers: usize) -> Result<Self, NoClient> {
        let is_https = settings.endpoint.is_https();
        let trust = is_https.then(|| Trust::of(settings.ca_file.as_deref()));
        let trust = trust.transpose().map_err(NoClient)?;
        let http = Client::new(trust, settings.timeout, settings.in_flight);
        Ok(Self {
            http,
            settings,
            places: Mutex::default(),
            alike: Alike::default(),
            share: Share::of(waiting(callers)),
            kept: Mutex::default(),
        })
    }

    /// Waits until nobody else is at the same question, of the same event. Whoever had to wait looks for what came of it
    /// before it asks.
    ///
    /// # Errors
    /// Where somebody else is at it for longer than asking and storing may take, or so many events of its tenant wait that
    /// others would find no place.
    pub async fn alone(&self, question: &AuthZRequest) -> Result<Alone, Crowded> {
        // For its place, and for the answer.
        let bound = self.settings.timeout.saturating_mul(2) + STORED;
        let waiting = self.share.take(&question.tenant_id)?;
        let alone = timeout(bound, self.alike.alone(question.request_id, waiting));
        alone.await.map_err(|_| Crowded)
    }

    /// Its word, within the configured time once it is asked. Waiting for a place is no word of the authoriser: whoever
    /// finds none within that time has to come again.
    ///
    /// # Errors
    /// Where too many questions of the tenant wait, or none of its places came free in time.
    pub async fn ask(&self, question: &AuthZRequest) -> Result<Authorisation, Crowded> {
        let same = (self.settings.cached > 0).then(|| same(question)).flatten();
        if let Some(kept) = same.and_then(|same| self.kept(same)) {
            return Ok(kept);
        }
        let counted = self.count(&question.tenant_id)?;
        let place = timeout(self.settings.timeout, counted.0.free.acquire());
        let _place = place.await.map_err(|_| Crowded)?;
        let (word, ttl) = match self.asked(question).await {
            Ok(said) => said,
            Err(none) => return Ok(none.told(question)),
        };
        if let (Some(same), Some(ttl)) = (same, ttl) {
            self.keep(same, word.clone(), ttl.min(LONGEST));
        }
        Ok(word)
    }

    /// Counts a question of a tenant in.
    fn count(&self, tenant: &TenantId) -> Result<Counted, Crowded> {
        let mut all = locked(&self.places);
        if all.len() >= TENANTS {
            all.retain(|_, places| places.asked.load(Ordering::Acquire) > 0);
        }
        let most = self.settings.in_flight;
        let places = all.entry(tenant.clone()).or_insert_with(|| {
            Arc::new(Places {
                free: Semaphore::new(most),
                asked: AtomicUsize::new(0),
            })
        });
        if places.asked.load(Ordering::Acquire) >= waiting_of_one(most) {
            return Err(Crowded);
        }
        // Counted under the lock, so that nobody forgets it in between.
        places.asked.fetch_add(1, Ordering::AcqRel);
        Ok(Counted(Arc::clone(places)))
    }

    async fn asked(&self, question: &AuthZRequest) -> Result<Said, NoDecision> {
        let until = Instant::now() + self.settings.timeout;
        let body = serde_json::to_string(question)
            .map_err(|error| NoDecision::Silence(error.to_string()))?;
        let answered = match self.send(&body, until).await {
            // A kept connection that was closed at this moment: the question is the same when asked again.
            Err(Unanswered::Silent(_)) => self.send(&body, until).await,
            sent => sent,
        };
        match answered {
            Ok(answer) => word(&answer),
            Err(Unanswered::Unreached(why) | Unanswered::Silent(why)) => {
                Err(NoDecision::Silence(why))
            }
            Err(Unanswered::Late) => {
                let why = "it did not answer in time".to_owned();
                Err(NoDecision::Silence(why))
            }
            Err(Unanswered::Garbled(why)) => Err(NoDecision::Unreadable(why)),
        }
    }

    async fn send(&self, body: &str, until: Instant) -> Result<http::Answer, Unanswered> {
        let mut call = Request::post(self.settings.endpoint.0.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.settings.token {
            call = call.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        // Its address was one before.
        let call = call.body(body.to_owned());
        let call = call.map_err(|error| Unanswered::Unreached(error.to_string()))?;
        self.http.call(call, MOST_BYTES, until).await
    }

    fn kept(&self, same: Digest) -> Option<Authorisation> {
        let kept = locked(&self.kept);
        let (word, until) = kept.get(&same)?;
        (Instant::now() < *until).then(|| word.clone())
    }

    fn keep(&self, same: Digest, word: Authorisation, ttl: Duration) {
        let mut kept = locked(&self.kept);
        let now = Instant::now();
        if kept.len() >= self.settings.cached {
            kept.retain(|_, (_, until)| now < *until);
        }
        // Where all places are taken by answers that are good, this one is asked for again.
        if kept.len() < self.settings.cached && !ttl.is_zero() {
            kept.insert(same, (word, now + ttl));
        }
    }
}

/// How many events may wait at once, of all tenants, where callers share so many connections: some are left for those who
/// ask nothing of it.
pub fn waiting(callers: usize) -> usize {
    (callers / 4 * 3).max(1)
}

/// How many events of one tenant may wait at most, where it has so many places and is not bound by others.
pub fn waiting_of_one(in_flight: usize) -> usize {
    in_flight.saturating_mul(1 + WAITING)
}

/// What makes two questions the same for a kept answer: everything but the event.
fn same(question: &AuthZRequest) -> Option<Digest> {
    let parts = (
        &question.tenant_id,
        &question.room_id,
        &question.actor,
        question.action,
        &question.source,
    );
    Digest::of_value(&parts).ok()
}

/// A word, and for how long it may be used again.
type Said = (Authorisation, Option<Duration>);

/// Why there is no decision.
#[derive(Debug, PartialEq, Eq)]
enum NoDecision {
    /// It is not there: not reached, no answer in time, or it says itself that it cannot (a status from 500 on).
    Silence(String),
    /// It has answered, and what it said is no decision.
    Unreadable(String),
}

impl NoDecision {
    fn told(&self, question: &AuthZRequest) -> Authorisation {
        let (word, why) = match self {
            Self::Silence(why) => (Authorisation::Unavailable, why),
            Self::Unreadable(why) => (Authorisation::Unreadable, why),
        };
        let tenant = &question.tenant_id;
        tracing::warn!(%tenant, why = visible(why), "the authoriser gives no decision");
        word
    }
}

/// As much of an answer as a denial needs.
#[derive(Deserialize)]
struct OnlyWord {
    decision: String,
}

/// What an answer says. A denial holds whatever else is wrong with its form. What is no decision counts as silence only
/// where it says nothing of one: a server that is broken, or a gateway before one that is down. Everything else could
/// have been a denial.
fn word(answer: &http::Answer) -> Result<Said, NoDecision> {
    let (status, body) = (answer.status, answer.body.as_ref());
    let bytes = body.map_err(|why| NoDecision::Unreadable(why.clone()))?;
    let why = match decision(status, bytes) {
        Ok(decision) => {
            let ttl = decision.cache_ttl_ms.map(Duration::from_millis);
            return Ok((Authorisation::from(decision), ttl));
        }
        Err(why) => why,
    };
    let denies = serde_json::from_slice::<OnlyWord>(bytes)
        .is_ok_and(|only| only.decision.eq_ignore_ascii_case("deny"));
    if denies {
        tracing::warn!(why = visible(&why), "the authoriser denies in a wrong form");
        let (rule, policy_version) = (None, None);
        let denied = Authorisation::Deny {
            rule,
            policy_version,
        };
        return Ok((denied, None));
    }
    let says_nothing = !String::from_utf8_lossy(bytes).contains("\"decision\"");
    Err(match status.is_server_error() && says_nothing {
        true => NoDecision::Silence(why),
        false => NoDecision::Unreadable(why),
    })
}

fn decision(status: StatusCode, bytes: &[u8]) -> Result<AuthZDecision, String> {
    if status != StatusCode::OK {
        return Err(format!("it answered {status}"));
    }
    let decision: AuthZDecision =
        read_contract(bytes).map_err(|error| format!("its answer is no decision: {error}"))?;
    decision
        .validate()
        .map_err(|error| format!("its answer is out of bounds: {error}"))?;
    Ok(decision)
}

#[cfg(test)]
mod tests;
