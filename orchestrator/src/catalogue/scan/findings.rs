//! What was found, and where.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

use chiffon_common::{Fidelity, Tier, api::BrokenFile};

/// Findings gathered before they are sorted and cut; a playbook with more has none that is news.
const MAX_GATHERED: usize = 2_000;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// What a check run is worth at best because of it; `Exact` where it lowers nothing.
    pub(super) fidelity: Fidelity,
    /// The lowest tier that it allows.
    pub(super) tier: Tier,
    file: String,
    /// From 1; 0 where the whole file is meant.
    line: u32,
    what: String,
}

impl Finding {
    /// A finding that says something of the fidelity alone.
    pub(super) fn new(fidelity: Fidelity, file: &str, line: u32, what: impl Into<String>) -> Self {
        Self {
            fidelity,
            tier: Tier::Zero,
            file: file.to_owned(),
            line,
            what: what.into(),
        }
    }

    /// The same, which raises the tier as well.
    pub(super) fn raising(self, tier: Tier) -> Self {
        Self { tier, ..self }
    }

    /// The same, which names the variable it was found in.
    pub(super) fn within(self, variable: &str) -> Self {
        let what = format!("`{variable}`: {}", self.what);
        Self { what, ..self }
    }
}

impl Finding {
    /// As a fault of the file it was found in.
    pub(super) fn into_broken(self) -> BrokenFile {
        BrokenFile {
            file: self.file,
            line: Some(self.line).filter(|line| *line > 0),
            reason: self.what,
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// All findings of an entry, each once.
#[derive(Debug)]
pub(super) struct Findings {
    kept: BTreeSet<Finding>,
    /// The gravest of each kind so far.
    fidelity: Fidelity,
    tier: Tier,
}

impl Findings {
    pub(super) fn new() -> Self {
        Self {
            kept: BTreeSet::new(),
            fidelity: Fidelity::Exact,
            tier: Tier::Zero,
        }
    }

    /// Keeps it. Past the bound only what is graver than all that is kept still counts.
    pub(super) fn add(&mut self, finding: Finding) {
        let graver = finding.fidelity > self.fidelity || finding.tier > self.tier;
        if self.kept.len() < MAX_GATHERED || graver {
            self.fidelity = self.fidelity.max(finding.fidelity);
            self.tier = self.tier.max(finding.tier);
            self.kept.insert(finding);
        }
    }

    /// The gravest first, then by file and line.
    pub(super) fn into_sorted(self) -> Vec<Finding> {
        let mut sorted: Vec<Finding> = self.kept.into_iter().collect();
        sorted.sort_by(|a, b| {
            let gravity = b.fidelity.cmp(&a.fidelity);
            gravity.then_with(|| (&a.file, a.line, &a.what).cmp(&(&b.file, b.line, &b.what)))
        });
        sorted
    }
}
