//! What a sentence would come to, as a document: for `chiffon plan try` and for measuring.

use chiffon_common::{
    EntryId, ErrorCode, EventError, HostName, MAX_TEXT_CHARS, Parameters, api::Nearest, visible,
};
use serde::Serialize;

use super::{Planner, Proposal, Question};
use crate::inventory::Inventory;

/// Characters that are shown of a sentence that is too long.
const SHOWN: usize = 200;

/// What would be planned. Nothing is stored and nothing starts.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The sentence, with what cannot be seen made visible.
    pub sentence: String,
    /// `plan`, `ask` (one question, whose answer goes on with it), or `none` (nothing is to be done).
    pub kind: &'static str,
    /// In the order in which they would be done; empty unless it is a plan.
    pub steps: Vec<TriedStep>,
    /// How sure the planner is, 0 to 100; 0 unless it is a plan.
    pub confidence: u8,
    /// The words that decided, one reason a clause.
    pub reasons: Vec<String>,
    /// What is asked or said back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<TriedQuestion>,
}

/// One step of it.
#[derive(Debug, Clone, Serialize)]
pub struct TriedStep {
    /// The entry.
    pub entry: EntryId,
    /// Where, sorted.
    pub hosts: Vec<HostName>,
    /// Values; secret ones are masked.
    pub parameters: Parameters,
    /// Positions of the steps that it waits for.
    pub after: Vec<usize>,
}

/// What is asked or said back.
#[derive(Debug, Clone, Serialize)]
pub struct TriedQuestion {
    /// The code of the problem.
    pub code: ErrorCode,
    /// `host`, `entry`, or the first parameter that is missing.
    pub about: String,
    /// The question.
    pub detail: String,
    /// How to say it.
    pub todo: String,
    /// Parameters that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The nearest entries, best first.
    pub nearest: Vec<Nearest>,
}

impl Question {
    /// What it is about: `host`, `entry`, or the first parameter that is missing.
    pub fn about_what(&self) -> &str {
        match (self.problem.code, self.missing.first()) {
            (ErrorCode::UnknownHost, _) => "host",
            (_, Some(name)) => name,
            _ => "entry",
        }
    }
}

impl Planner {
    /// What a sentence would come to. What no request may be long is not planned.
    pub fn tried(&self, sentence: &str, inventory: &Inventory) -> Tried {
        let found = sentence.chars().count();
        if found > MAX_TEXT_CHARS {
            return too_long(sentence, found);
        }
        let tried = |kind| Tried {
            sentence: visible(sentence),
            kind,
            steps: Vec::new(),
            confidence: 0,
            reasons: Vec::new(),
            question: None,
        };
        match self.plan(sentence, inventory) {
            Proposal::Plan(planned) => Tried {
                steps: planned
                    .steps
                    .into_iter()
                    .map(|step| self.tried_step(step))
                    .collect(),
                confidence: planned.confidence,
                reasons: vec![planned.because],
                ..tried("plan")
            },
            Proposal::Ask(question) => Tried {
                question: Some(asked(question)),
                ..tried("ask")
            },
            Proposal::Nothing(question) => Tried {
                question: Some(asked(question)),
                ..tried("none")
            },
        }
    }

    fn tried_step(&self, step: super::Proposed) -> TriedStep {
        let mut parameters = step.parameters;
        let entry = self.catalogue.get(step.entry.as_str());
        for name in entry
            .map(|entry| entry.secret_parameters())
            .unwrap_or_default()
        {
            if let Some(value) = parameters.get_mut(&name) {
                *value = "[secret]".into();
            }
        }
        TriedStep {
            entry: step.entry,
            hosts: step.hosts,
            parameters,
            after: step.after,
        }
    }
}

fn too_long(sentence: &str, found: usize) -> Tried {
    let error = EventError::TooLong { found };
    let begin: String = sentence.chars().take(SHOWN).collect();
    Tried {
        sentence: format!("{}…", visible(&begin)),
        kind: "none",
        steps: Vec::new(),
        confidence: 0,
        reasons: Vec::new(),
        question: Some(TriedQuestion {
            code: error.code(),
            about: "entry".to_owned(),
            detail: error.to_string(),
            todo: error.todo().to_owned(),
            missing: Vec::new(),
            nearest: Vec::new(),
        }),
    }
}

fn asked(question: Question) -> TriedQuestion {
    TriedQuestion {
        code: question.problem.code,
        about: question.about_what().to_owned(),
        detail: question.problem.detail,
        todo: question.problem.todo,
        missing: question.missing,
        nearest: question.nearest,
    }
}
