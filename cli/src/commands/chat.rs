//! `chiffon chat`: a room in the terminal. Each line is a request of the room, seen through like that of `run`;
//! what others do there is left to `room`.

mod room;

use std::time::Duration;

use chiffon_common::{ProjectId, RequestId, RoomId, api::NewRequest};

use super::{Context, answer::Said, asking, follow::is_cut, only_lines, through::see_through};
use crate::{
    args::{Belongs, Chat},
    exit::Exit,
    failure::Failure,
    fleet::user_name,
    output, render,
    session::{Need, Session, interrupted},
    terminal::{Format, Lines, Terminal, Typed},
};
use room::Room;

/// How often a room is looked at while somebody sits at the prompt.
const NEWS: Duration = Duration::from_secs(2);

const HELP: &str = "Each line is a request: it is planned, shown, approved by you where it changes something, and followed to its end.
  /history     the last requests of the room
  /answer ID   see a request through that waits for you: its plan is shown, and you are asked
  /cancel ID   stop a request
  /help        this
  /quit        leave (also Ctrl-D)
Ctrl-C leaves a request: with a running `chiffon up` it goes on, else it is cancelled. At the prompt it leaves the room.";

pub async fn chat(context: &mut Context<'_>, args: &Chat) -> Result<Exit, Failure> {
    only_lines(context.terminal)?;
    let belongs = Belongs {
        project: args.project.clone(),
        room: Some(args.room.clone().unwrap_or_else(own_room)),
        idempotency_key: None,
    };
    let project = asking::project(&belongs)?;
    let Some(room) = asking::room(&belongs)? else {
        return Err(Failure::internal("there is no room"));
    };
    let session = Session::open(context, Need::OwnAgents).await?;
    let mut chat = Talk {
        room: Room::new(room.clone()),
        lines: lines(context.terminal, &room),
        session,
        project,
        worst: Exit::Ok,
    };
    let ended = chat.talk(context).await;
    chat.session.close().await;
    ended
}

/// Only what a room's name may hold.
fn own_room() -> String {
    let permitted = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = user_name().chars().filter(permitted).take(100).collect();
    format!("chat:{name}")
}

/// A prompt needs a person who may be asked, and a terminal on both sides.
fn lines(terminal: &Terminal, room: &RoomId) -> Lines {
    let is_for_people = terminal.format == Format::Table;
    match terminal.may_ask && terminal.shows && is_for_people {
        true => Lines::with_prompt(format!("{room}> ")),
        false => Lines::of_input(),
    }
}

struct Talk {
    room: Room,
    lines: Lines,
    session: Session,
    project: Option<ProjectId>,
    worst: Exit,
}

/// What a line does to the conversation.
enum Next {
    Line(Exit),
    Leave,
}

impl Talk {
    async fn talk(&mut self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let terminal = context.terminal;
        self.welcome(terminal).await?;
        loop {
            self.tell_news(terminal).await;
            let typed = self.typed(context).await;
            let line = match typed {
                Typed::Line(line) => line,
                Typed::NoText => {
                    output::failure(terminal, &no_text());
                    self.worst = self.worst.worse(Exit::Usage);
                    continue;
                }
                Typed::NoMore => return Ok(self.exit()),
                Typed::Interrupted => return Err(interrupted()),
            };
            // Whatever goes wrong with one line, there is a next one.
            let exit = match self.take(context, line.trim()).await {
                Ok(Next::Line(exit)) => exit,
                Ok(Next::Leave) => return Ok(self.exit()),
                Err(failure) => {
                    output::failure(terminal, &failure);
                    failure.exit
                }
            };
            self.worst = self.worst.worse(exit);
            if exit == Exit::Interrupted {
                if !self.lines.has_prompt() {
                    return Ok(exit);
                }
                context.interrupt.begin_anew();
            }
            if terminal.is_closed() {
                return Ok(Exit::Ok);
            }
        }
    }

    /// The next line. What others do meanwhile is told above it.
    async fn typed(&mut self, context: &mut Context<'_>) -> Typed {
        let paint = context.terminal.err;
        let aside = self.lines.aside();
        let has_prompt = self.lines.has_prompt();
        let next = self.lines.next();
        tokio::pin!(next);
        loop {
            tokio::select! {
                typed = &mut next => return typed,
                () = context.interrupt.wait() => return Typed::Interrupted,
                () = tokio::time::sleep(NEWS), if has_prompt => {
                    let news = self.room.news(paint, &self.session.client).await;
                    for line in news.unwrap_or_default() {
                        aside.say(&line);
                    }
                }
            }
        }
    }

    /// A person has seen how each request ended; who reads lines from a file wants to know the worst.
    fn exit(&self) -> Exit {
        match self.lines.has_prompt() {
            true => Exit::Ok,
            false => self.worst,
        }
    }

    async fn welcome(&mut self, terminal: &Terminal) -> Result<(), Failure> {
        let last = self.room.enter(&self.session.client).await?;
        if terminal.format != Format::Table {
            return Ok(());
        }
        let name = terminal.err.bold(self.room.name());
        match last.is_empty() {
            true => terminal.say(&format!("Room {name}. Nothing has been asked here yet.")),
            false => terminal.say(&format!(
                "Room {name}. Last asked here:\n{}",
                render::requests(terminal.err, &last)
            )),
        }
        if self.lines.has_prompt() {
            terminal.say("Ask in a sentence; /help tells more.");
        }
        Ok(())
    }

    /// What others have done meanwhile. Where it cannot be asked for now, the next line will say why.
    async fn tell_news(&mut self, terminal: &Terminal) {
        let news = self.room.news(terminal.err, &self.session.client).await;
        if terminal.format == Format::Table {
            for line in news.unwrap_or_default() {
                terminal.say(&line);
            }
        }
    }

    async fn take(&mut self, context: &mut Context<'_>, line: &str) -> Result<Next, Failure> {
        let terminal = context.terminal;
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("", _) => Ok(Next::Line(Exit::Ok)),
            ("/quit", "") => Ok(Next::Leave),
            ("/help", "") => {
                terminal.say(HELP);
                Ok(Next::Line(Exit::Ok))
            }
            ("/history", "") => {
                let last = self.room.last(&self.session.client).await?;
                terminal.say(&render::requests(terminal.err, &last));
                Ok(Next::Line(Exit::Ok))
            }
            ("/answer", id) if !id.is_empty() => self.answer(context, id).await.map(Next::Line),
            ("/cancel", id) if !id.is_empty() => self.cancel(terminal, id).await,
            _ if word.starts_with('/') => Err(no_command(word)),
            _ => self.ask(context, line).await.map(Next::Line),
        }
    }

    async fn cancel(&self, terminal: &Terminal, id: &str) -> Result<Next, Failure> {
        let client = &self.session.client;
        let request = client.cancel(client.resolve(id).await?).await?;
        let state = render::state(terminal.err, &request.state);
        let because = render::one_line(&request.because, 300);
        terminal.say(&format!(
            "Request {} is {state}: {because}",
            request.request_id
        ));
        Ok(Next::Line(Exit::Ok))
    }

    /// A request that waits, asked by whomever: its plan is shown and asked about, and it is followed to its end.
    async fn answer(&mut self, context: &mut Context<'_>, id: &str) -> Result<Exit, Failure> {
        let id = self.session.client.resolve(id).await?;
        let exit = self.through(context, id).await;
        let left = matches!(&exit, Ok(Exit::Interrupted | Exit::Waiting) | Err(_));
        self.room.own(id, !left);
        exit
    }

    async fn through(&self, context: &mut Context<'_>, id: RequestId) -> Result<Exit, Failure> {
        let said = Said {
            in_chat: true,
            ..Said::default()
        };
        see_through(context, &self.session, id, &said).await
    }

    async fn ask(&mut self, context: &mut Context<'_>, sentence: &str) -> Result<Exit, Failure> {
        let request = NewRequest {
            text: sentence.to_owned(),
            project_id: self.project.clone(),
            room_id: Some(self.room.id().clone()),
            idempotency_key: None,
        };
        if self.session.is_gone() {
            self.come_back(context).await?;
        }
        let accepted = match self.session.client.ask(&request).await {
            // The fleet was killed. Where the connection could be made it may have been taken, so it is not asked again.
            Err(failure) if is_cut(&failure) && !self.session.is_one_shot() => {
                self.come_back(context).await?;
                return Err(failure);
            }
            other => other?,
        };
        let id = accepted.request_id;
        asking::tell_taken(context.terminal, id);
        let exit = self.through(context, id).await;
        let left = matches!(&exit, Ok(Exit::Interrupted | Exit::Waiting) | Err(_));
        self.room.own(id, !left);
        exit
    }

    /// The fleet that was spoken to has ended; another one, or one of our own, comes in its place.
    async fn come_back(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        self.session = Session::open(context, Need::OwnAgents).await?;
        Ok(())
    }
}

fn no_command(word: &str) -> Failure {
    let word = render::one_line(word, 40);
    Failure::usage(
        format!("There is no command {word} here, or it is given too much or too little."),
        "/help names the commands.",
    )
}

fn no_text() -> Failure {
    Failure::usage("The line is no UTF-8 text.", "Send plain text in UTF-8.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_room_has_a_name_that_is_permitted() {
        assert!(own_room().parse::<RoomId>().is_ok(), "{}", own_room());
    }
}
