//! The offline checker: holds the history of the harness, the stopped data folder, the effects, the recorded stream and
//! the logs against the invariants of reliability.md section 4. It changes nothing and asks nobody.

#[path = "check/effects.rs"]
mod effects;
#[path = "check/events.rs"]
mod events;
#[path = "check/evidence.rs"]
mod evidence;
#[path = "check/lives.rs"]
mod lives;
#[path = "check/rest.rs"]
mod rest;

use std::fmt;

pub use evidence::{Evidence, Mark, Said};
pub use rest::is_near;

/// What a cell must have been through, so that its silence means something.
#[derive(Debug, Clone, Copy)]
pub struct Demands {
    pub ok: usize,
    pub in_flight: u64,
    /// Lowest share of operations that ended well, in percent: the recorded floor of the cell.
    pub ok_percent: u64,
}

impl Demands {
    pub const USUAL: Self = Self {
        ok: 500,
        in_flight: 20,
        ok_percent: 60,
    };
    /// For cells that have a few seconds.
    pub const SHORT: Self = Self {
        ok: 60,
        in_flight: 10,
        ok_percent: 30,
    };
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// `I1` to `I12`, or `vacuous`.
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// All that was found.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// Counts, share of ok, latencies: for people.
    pub report: String,
}

impl Verdict {
    /// The invariants that do not hold, each once.
    pub fn broken(&self) -> Vec<&'static str> {
        let mut broken: Vec<_> = self.violations.iter().map(|one| one.invariant).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }

    /// # Panics
    /// Where an invariant does not hold; names the first of each, and how to play it again.
    #[track_caller]
    pub fn assert_holds(&self, cell: &str, seed: u64) {
        let mut shown = Vec::new();
        for invariant in self.broken() {
            let of_it: Vec<_> = self
                .violations
                .iter()
                .filter(|one| one.invariant == invariant)
                .collect();
            shown.extend(of_it.iter().take(5).map(ToString::to_string));
            if of_it.len() > 5 {
                shown.push(format!("{invariant}: and {} more", of_it.len() - 5));
            }
        }
        assert!(
            shown.is_empty(),
            "{cell} with CHIFFON_SEED={seed}:\n{}\n{}",
            shown.join("\n"),
            self.report
        );
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.0.push(Violation {
            invariant,
            what: what.into(),
        });
    }
}

/// Judges. `entries` says what an interruption means to each of the test's own entries.
pub fn judge(evidence: &Evidence, demands: Demands, entries: &[(&str, &str)]) -> Verdict {
    let mut found = Findings::default();
    rest::vacuous(evidence, demands, &mut found);
    lives::lost(evidence, &mut found);
    lives::unexpected(evidence, &mut found);
    lives::one_end(evidence, &mut found);
    effects::marks(evidence, entries, &mut found);
    effects::approvals(evidence, &mut found);
    events::fenced(evidence, &mut found);
    events::recorded_once(evidence, &mut found);
    events::stream(evidence, &mut found);
    rest::bounded(evidence, &mut found);
    rest::logs(evidence, &mut found);
    Verdict {
        violations: found.0,
        report: rest::report(evidence),
    }
}
