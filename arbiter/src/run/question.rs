//! Asking back: the planner's question as a decision, and the answer that sends the same request back to the
//! planner. What an answer in own words comes to is found out before, where catalogue and inventory are known.

use chiffon_common::{
    DecisionId, EntryId, ErrorCode, HostName, Parameters, Problem, Redactor, api::Nearest,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Answered, Decision, DecisionKind, DecisionState, Effect, Refusal, Replied, RequestState,
    desk::Desk,
};

/// How often a request may be answered before it has to be asked anew: two who do not understand each other
/// come to an end.
pub const MAX_ROUNDS: usize = 10;

/// Longest sentence that is offered as an option, in characters: what may be sent as a choice.
const MAX_SHOWN_OPTION: usize = 253;

/// The choice that stands in the record where the answer was in own words.
const OWN_WORDS: &str = "own words";

/// What stands in place of a secret value.
const MASK: &str = "[secret]";

/// One round of asking back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The question, as a decision.
    pub decision: DecisionId,
    /// The question, in words.
    pub question: String,
    /// The answer.
    pub words: Words,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An answer in somebody's own words, and what they come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Words {
    /// As they are shown and recorded; the value of a secret parameter is struck out already.
    pub text: String,
    /// What the planner is to make of them.
    pub said: Said,
    /// Names of the parameters in `said` whose values are secret; they are forgotten once they stand in a plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret: Vec<String>,
}

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Said {
    /// Another sentence, in place of all that was said before.
    Sentence {
        /// The sentence.
        text: String,
    },
    /// What was missing, beside all that was said before.
    Missing {
        /// Values of parameters.
        parameters: Parameters,
        /// Hosts, in place of those that were named before.
        hosts: Vec<HostName>,
    },
}

/// What kind of answer a question is waiting for. A new sentence is always one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Wants {
    /// Other words.
    #[default]
    Sentence,
    /// Values of parameters of the entry that was understood.
    Parameters {
        /// The entry.
        entry: EntryId,
        /// The required ones that nobody gave.
        missing: Vec<String>,
    },
    /// Hosts for the entry that was understood.
    Hosts,
}

impl Desk<'_> {
    pub(super) fn asked_back(
        &mut self,
        question: String,
        nearest: Vec<Nearest>,
        problem: Problem,
        wants: Wants,
    ) -> Result<(), Refusal> {
        self.must_be_planning()?;
        if self.run.request.rounds.len() >= MAX_ROUNDS {
            let detail = format!(
                "asked back {MAX_ROUNDS} times and still not sure; the last question was: {question}"
            );
            let todo = "ask anew in one sentence; `chiffon catalogue list` shows what can be asked";
            let problem = Problem::new(ErrorCode::TooManyRounds, detail, todo);
            return self.planning_failed(problem);
        }
        let mut options: Vec<&str> = Vec::new();
        for near in &nearest {
            let sentence = near.example.as_str();
            let is_short = sentence.chars().count() <= MAX_SHOWN_OPTION;
            if is_short && !options.contains(&sentence) {
                options.push(sentence);
            }
        }
        let kind = DecisionKind::Question {
            nearest: nearest.clone(),
            wants,
        };
        let decision = self.ask(kind, question.clone(), &options);
        let because = question.clone();
        let to = RequestState::NeedsInput {
            question,
            nearest,
            problem,
            decision: Some(decision),
        };
        self.move_request(to, because);
        Ok(())
    }

    /// One of the options: its sentence is what is asked for now.
    pub(super) fn chosen(&mut self, decision: &Decision, answer: Answered) -> Result<(), Refusal> {
        let text = answer.choice;
        let words = Words {
            text: text.clone(),
            said: Said::Sentence { text: text.clone() },
            secret: Vec::new(),
        };
        self.go_on(decision, &text, words, &answer.by.id, answer.comment)
    }

    /// Own words.
    pub(super) fn replied(&mut self, reply: Replied) -> Result<(), Refusal> {
        let decision = self.run.decisions.get(&reply.decision);
        let decision = decision.ok_or(Refusal::NoSuch("question"))?.clone();
        self.is_open(&decision, &reply.by)?;
        if !matches!(decision.kind, DecisionKind::Question { .. }) {
            return Err(Refusal::InvalidChoice {
                options: decision.options,
            });
        }
        self.go_on(
            &decision,
            OWN_WORDS,
            reply.words,
            &reply.by.id,
            reply.comment,
        )
    }

    fn go_on(
        &mut self,
        decision: &Decision,
        choice: &str,
        words: Words,
        by: &str,
        comment: Option<String>,
    ) -> Result<(), Refusal> {
        if !matches!(self.run.request.state, RequestState::NeedsInput { .. }) {
            return Err(self.out_of_turn());
        }
        let to = DecisionState::Resolved {
            choice: choice.to_owned(),
            by: by.to_owned(),
            at: self.now,
            comment,
        };
        // The words themselves may hold what turns out to be secret, and the audit cannot be cleaned (S70).
        let because = format!("{by} answered");
        self.move_decision(decision.decision_id, to, &because);
        self.run.request.rounds.push(Round {
            decision: decision.decision_id,
            question: decision.question.clone(),
            words,
            by: by.to_owned(),
            at: self.now,
        });
        self.move_request(
            RequestState::Planning,
            format!("{because}; it is planned again"),
        );
        self.push(Effect::Plan);
        Ok(())
    }

    /// Nobody said what was meant.
    pub(super) fn question_unanswered(&mut self) {
        const WHY: &str = "nobody answered the question in time";
        self.time_out_questions();
        let todo = "ask anew; `chiffon catalogue list` shows what can be asked";
        let problem = Problem::new(ErrorCode::QuestionExpired, WHY, todo);
        self.move_request(RequestState::Expired { problem }, WHY);
    }

    /// Questions whose time is over are not answered by anybody.
    pub(super) fn time_out_questions(&mut self) {
        let now = self.now;
        let over = |decision: &&Decision| !decision.state.ended() && decision.deadline <= now;
        let over: Vec<_> = self.run.decisions.values().filter(over).collect();
        let over: Vec<_> = over.into_iter().map(|one| one.decision_id).collect();
        for id in over {
            let to = DecisionState::TimedOut { at: now };
            self.move_decision(id, to, "nobody answered in time");
        }
    }

    /// From here on all that was said is kept and shown without what turned out to be secret in it.
    pub(super) fn redact_words(&mut self, secrets: &Redactor) {
        let request = &mut self.run.request;
        request.text = secrets.redact(&request.text);
        for round in &mut request.rounds {
            round.question = secrets.redact(&round.question);
            round.words.text = secrets.redact(&round.words.text);
            if let Said::Sentence { text } = &mut round.words.said {
                *text = secrets.redact(text);
            }
        }
        self.forget_secrets();
    }

    /// The values of secret parameters stand in the plan, or are not needed any more.
    pub(super) fn forget_secrets(&mut self) {
        for round in &mut self.run.request.rounds {
            if let Said::Missing { parameters, .. } = &mut round.words.said {
                for name in &round.words.secret {
                    if let Some(value) = parameters.get_mut(name) {
                        *value = Value::String(MASK.to_owned());
                    }
                }
            }
        }
    }
}
