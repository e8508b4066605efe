//! `chiffon decision watch`: the questions that wait, those that come, and how each is closed.

use std::collections::BTreeMap;

use chiffon_common::{
    DecisionId,
    api::{DecisionView, EventView},
};

use super::{
    Context,
    events::{Listener, listen},
};
use crate::{
    args::WatchDecisions,
    client::{Client, ListDecisions, WantedEvents},
    exit::Exit,
    failure::Failure,
    output, render,
    terminal::Terminal,
};

/// As many are remembered; what was closed long ago comes no more.
const REMEMBERED: usize = 10_000;

/// As many of those that wait are told at the beginning.
const PAGES: usize = 20;

pub async fn watch(context: &mut Context<'_>, args: &WatchDecisions) -> Result<Exit, Failure> {
    let listener = Questions {
        terminal: context.terminal,
        project: args.project.clone(),
        told: BTreeMap::new(),
    };
    listen(context, args.patience, None, listener).await
}

struct Questions<'a> {
    terminal: &'a Terminal,
    project: Option<String>,
    /// The state in which each was told last.
    told: BTreeMap<DecisionId, String>,
}

impl Listener for Questions<'_> {
    fn wanted(&self) -> WantedEvents {
        WantedEvents {
            project: self.project.clone(),
            types: vec!["decision.".to_owned()],
        }
    }

    async fn connected(&mut self, client: &Client) -> Result<(), Failure> {
        let mut list = ListDecisions {
            limit: 500,
            state: Some("pending".to_owned()),
            project: self.project.clone(),
            ..ListDecisions::default()
        };
        let mut waiting = Vec::new();
        for _ in 0..PAGES {
            let page = client.decisions(&list).await?;
            waiting.extend(page.items);
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => break,
            }
        }
        // What was closed while nobody listened.
        let open = |id: &DecisionId| waiting.iter().any(|one| one.decision_id == *id);
        let told = self.told.iter();
        let missed: Vec<DecisionId> = told
            .filter(|(id, state)| *state == "pending" && !open(id))
            .map(|(id, _)| *id)
            .collect();
        for id in missed {
            let closed = client.decision(id).await?;
            self.tell(&closed);
        }
        // Oldest first, as they would have come.
        for decision in waiting.iter().rev() {
            self.tell(decision);
        }
        Ok(())
    }

    async fn heard(&mut self, client: &Client, event: &EventView, _: &str) -> Result<(), Failure> {
        if event.kind == "reset" {
            return self.connected(client).await;
        }
        let id = event.data.get("decision_id").and_then(|id| id.as_str());
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            let decision = client.decision(id).await?;
            self.tell(&decision);
        }
        Ok(())
    }
}

impl Questions<'_> {
    fn tell(&mut self, decision: &DecisionView) {
        let id = decision.decision_id;
        if self.told.get(&id) == Some(&decision.state) {
            return;
        }
        self.told.insert(id, decision.state.clone());
        if self.told.len() > REMEMBERED {
            self.told.retain(|_, state| state == "pending");
        }
        output::one(self.terminal, decision, || {
            render::decision_line(self.terminal.out, decision)
        });
    }
}
