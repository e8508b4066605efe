//! An external authoriser's word on an event (RFC-ARB-0001, section 11.1), where the policy asks one. How it is asked is
//! left to the room `authorizer`, what its word means to the arbiter.

use chiffon_arbiter::Authorisation;
use chiffon_authorizer::{Alone, Crowded};
use chiffon_common::AuthZRequest;

use super::Shared;

/// What was asked, and what was said to it.
#[derive(Debug)]
pub(super) struct Word {
    question: AuthZRequest,
    pub(super) said: Authorisation,
}

impl Word {
    /// Whether it was said to this question. While it was waited for, a question to the room may have come or gone: who
    /// may ask for work may not approve it by that.
    pub(super) fn is_on(&self, question: &AuthZRequest) -> bool {
        self.question == *question
    }
}

impl Shared {
    /// Waits until nobody else asks for the same event, which an adapter may have sent twice at once.
    pub(super) async fn alone_on(&self, question: &AuthZRequest) -> Result<Option<Alone>, Crowded> {
        match &self.authorizer {
            Some(authorizer) => authorizer.alone(question).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks the authoriser.
    pub(super) async fn word_on(&self, question: AuthZRequest) -> Result<Word, Crowded> {
        let said = match &self.authorizer {
            Some(authorizer) => authorizer.ask(&question).await?,
            // A policy that asks one comes with one.
            None => Authorisation::Unavailable,
        };
        Ok(Word { question, said })
    }
}

#[cfg(test)]
mod tests {
    use chiffon_common::Permission;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_is_good_for_what_was_asked_and_for_nothing_else() {
        let id = "0199e2f4-77a1-7c40-8000-000000000001";
        let question: AuthZRequest = serde_json::from_value(json!({
            "v": 0, "request_id": id, "tenant_id": "default", "room_id": "team",
            "actor": {"id": "chat:anna", "kind": "person"}, "action": "start_agent_job",
            "source": "chat", "event_id": "e", "correlation_id": id, "ts": "2026-01-02T03:04:05Z",
        }))
        .unwrap();
        let word = Word {
            question: question.clone(),
            said: Authorisation::Unavailable,
        };
        assert!(word.is_on(&question));
        // A question to the room came while this was asked: the same words would approve it now.
        let other = AuthZRequest {
            action: Permission::Approve,
            ..question
        };
        assert!(!word.is_on(&other));
    }
}
