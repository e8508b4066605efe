//! An external authoriser's word on an event (RFC-ARB-0001, section 11.1), where the policy asks one. How it is asked is
//! left to the room `authorizer`, what its word means to the arbiter.

use chiffon_arbiter::Authorisation;
use chiffon_authorizer::Crowded;
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
